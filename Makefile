# Two commands: `make demo` shows the main job, `make test` checks everything. Both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo

.DEFAULT_GOAL := help
.PHONY: help demo test lint docs format build clean

help:
	@echo "make demo    tune an English query tower and measure every language; results in $(OUT)/"
	@echo "make test    format, lint, types and all tests"
	@echo "make lint    format, lint and types only"
	@echo "make docs    the documentation, in build/site/"
	@echo "make build   the wheel, in dist/"
	@echo "make clean   remove the environment and what was built"

# torch comes first and alone: its exact version selects the CPU build, and nothing later replaces it.
$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "isogloss needs Python 3.10 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

demo: $(BIN)/.installed
	$(BIN)/isogloss demo --out $(OUT)

lint: $(BIN)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n 2 --dist loadfile

docs: $(BIN)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(BIN)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: $(BIN)/.installed
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) dist build
