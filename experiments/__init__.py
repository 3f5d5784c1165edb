"""What is run from the command line."""

import os

# Before JAX is loaded: of every step that XLA takes from its cache it would say, on lines of 3,000 characters, that the
# processor lacks features which no processor has. What goes wrong comes as exceptions too.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
