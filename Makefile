# Nothing beyond Python >= 3.11, make and a C library is needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test lint fix schemas sizes readme lock clean

setup: $(VENV)/ready ## install everything into .venv

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Tocsin needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup ## the whole job on this machine, until Ctrl-C
	$(BIN)/tocsin demo

test: setup ## all tests, on the embedded parts: two processes, each with a broker and a database of its own
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: setup ## what CI checks besides the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fix: setup ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: setup ## write schemas/ anew from the records
	$(BIN)/python -m streams.schemas

sizes: setup ## measure anew what detectors remember
	PYTHONPATH=tests:. $(BIN)/python -m contract.sizes

readme: setup ## print the README's example output anew
	$(BIN)/python tests/house/test_readme.py

lock: ## pin every dependency anew; needs pip-tools
	$(PYTHON) -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra embedded --extra sdk --extra test \
		--output-file requirements.lock pyproject.toml

clean: ## remove what the demo and the tests left
	rm -rf .tocsin
