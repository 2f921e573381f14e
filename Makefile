# Everything runs in a virtual environment of the project's own, made on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

BENCH := .venv-bench

.PHONY: help demo test test-slow test-documents lint format update-generated bench bench-short clean

help:
	@echo "make demo              derive, prove and train on real data"
	@echo "make test              run the tests"
	@echo "make test-slow         run the tests that take minutes"
	@echo "make test-documents    test LaTeX, PDF and pages with TeX and Chromium, installed by apt-get where it may"
	@echo "make lint              check style and types"
	@echo "make format            lay out the sources"
	@echo "make update-generated  write generated/ and the outputs of examples/ anew"
	@echo "make bench             measure training and derivation against other libraries (takes minutes)"
	@echo "make bench-short       see that the benchmarks work, with what is installed"

$(READY): pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'symbackprop needs Python 3.11 or newer')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $(READY)

demo: $(READY)
	$(BIN)/symbackprop demo

test: $(READY)
	$(BIN)/python -B -m pytest -q -n auto --dist worksteal -m "not slow and not documents"

test-slow: $(READY)
	$(BIN)/python -B -m pytest -q -n auto --dist worksteal -m slow

test-documents: $(READY)
	tests/document/rendered/install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev,documents]"
	$(BIN)/python -B -m pytest -q -m documents

lint: $(READY)
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy --cache-dir=$(VENV)/mypy

format: $(READY)
	$(BIN)/ruff check --no-cache --fix .
	$(BIN)/ruff format --no-cache .

update-generated: $(READY)
	$(BIN)/python -B -m pytest -q tests/code/test_generated.py tests/code/test_parts.py tests/document/test_notebook.py --update-generated

$(BENCH)/.ready: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --editable . -r benchmarks/requirements.txt
	touch $@

bench: $(BENCH)/.ready
	$(BENCH)/bin/python -B -m benchmarks.training
	$(BENCH)/bin/python -B -m benchmarks.networks
	$(BENCH)/bin/python -B -m benchmarks.depth
	$(BENCH)/bin/python -B -m benchmarks.memory
	$(BENCH)/bin/python -B -m benchmarks.startup

bench-short: $(READY)
	$(BIN)/python -B -m benchmarks.training --short
	$(BIN)/python -B -m benchmarks.networks --short
	$(BIN)/python -B -m benchmarks.depth --short
	$(BIN)/python -B -m benchmarks.startup --short
	$(BIN)/python -B -m benchmarks.memory --short

clean:
	rm -rf $(VENV) $(BENCH) build dist
