"""Broken inputs by the thousand: what is read, how it is broken, and what then reaches the user.

    python -m benchmarks.fuzzing --count 10000        (some minutes on two cores)

`subjects` holds a small sound set of files of every format and its reader, `spoiling` the ways to break one, and
`outcomes` tells a sentence from a traceback. A case is a function of its format and its number alone.
"""
