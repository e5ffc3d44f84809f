# Set-up only: everything else is `invoke --list`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Else each of the many programs that tests and demo start would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check soak

demo: $(VENV)/.sandbox
	$(BIN)/invoke sandbox.demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not soak" -n 3

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/vermin --quiet --target=3.10- --no-tips --violations dojo_deploy tests benchmarks tasks.py
	$(BIN)/python -m pytest -q tests/test_architecture.py

# Whole matrices instead of samples: hours.
soak: $(VENV)/.dev
	$(BIN)/python -m pytest

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.sandbox: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.sandbox
