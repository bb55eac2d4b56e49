# `make` lists what there is. Everything lives in .venv, made on first use and kept until the
# lock or pyproject.toml changes. Another interpreter: make install PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
LOWEST := .venv-lowest
STAMP := .venv/.installed
JOBS ?= 2
TESTS := -m pytest -n $(JOBS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help install demo test check slow lowest bench judge timing depletion lock reference clean

help:  ## list these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(STAMP)  ## make .venv with the locked versions

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ppi_ml needs Python 3.11 or newer; try PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python -c 'import ppi_ml.models.boost'  # says so now if the system lacks OpenMP
	@touch $@

demo: install  ## train on the data that ships, in minutes: scorecard, predictions, bundle
	$(BIN)/ppi-ml demo

test: install  ## the fast tests, side by side in JOBS (2) processes
	$(BIN)/python $(TESTS)

check: install  ## style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

slow: install lowest  ## the tests that take minutes, and all fast ones on the lowest versions allowed
	$(BIN)/python -m pytest -m slow

lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python $(TESTS)

$(LOWEST)/.installed: pyproject.toml $(STAMP)
	rm -rf $(LOWEST)
	$(BIN)/python -m venv $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[test,plots]'
	@touch $@

bench: install  ## speed on this machine, as a table
	$(BIN)/python benchmarks/speed.py

judge: install  ## quality on fixed cases, next to the stored predictions of other methods
	$(BIN)/python benchmarks/judge.py

timing: install  ## the numbers of docs/quality.md, hours
	$(BIN)/python benchmarks/timing.py

depletion: install  ## the numbers of run-outs: judge, simulated shops, wholesale, scale; an hour
	$(BIN)/python benchmarks/depletion.py

lock: install  ## choose versions anew within the ranges of pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
	    --generate-hashes --no-emit-index-url pyproject.toml --output-file requirements.lock

reference: install  ## write configs/config.schema.json and docs/reference.md anew
	$(BIN)/ppi-ml schema config > configs/config.schema.json
	$(BIN)/python tools/build_reference.py

clean:  ## remove the environments and caches; runs in mlruns/ stay
	rm -rf .venv $(LOWEST) build dist .pytest_cache .mypy_cache .ruff_cache .grimp_cache .import_linter_cache
