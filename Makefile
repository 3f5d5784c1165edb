# make demo      an exact solid is photographed, and its shape recovered from the pictures
# make compare   the same with the interior gradient alone, and the two side by side
# make test      the fast tests
# make test-all  every test
# make lint      ruff and pyright
# make docs      the documentation, into build/docs
# make notebooks   the notebooks anew, from their scripts
# make clean     removes what the others made

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo compare test test-all lint docs notebooks clean

demo: $(INSTALLED)
	$(BIN)/python -m experiments.make_scene --scene=demo --output=runs/demo/data
	$(BIN)/python -m experiments.reconstruct --data=runs/demo/data --workdir=runs/demo --preset=quick

compare: $(INSTALLED)
	$(BIN)/python -m experiments.reconstruct --data=runs/demo/data --workdir=runs/interior --preset=quick --gradient=interior
	$(BIN)/python -m experiments.compare runs/demo runs/interior --output=runs/compare.png

test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -m "not slow and not gpu"

test-all: $(INSTALLED)
	$(BIN)/python -m pytest -n 2

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

notebooks: $(INSTALLED)
	$(BIN)/jupytext --quiet --update --to ipynb notebooks/*.py

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("sdfrepar needs Python 3.11 or newer, this is %s: make PYTHON=python3.12 ..." % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,dev]'
	touch $@

clean:
	rm -rf .venv runs .cache build
