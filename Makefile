# Two commands: `make serve` answers requests, `make test` runs every test. `make help` lists all.

PYTHON ?= python3
VENV   ?= .venv
HOST   ?= 127.0.0.1
PORT   ?= 8000
MODELS ?= checkpoints
TESTS  ?=

PIP    := $(VENV)/bin/python -m pip
PINNED := constraints.txt

.PHONY: help serve setup test lint format typecheck clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.serving  ## serve the bundled models (HOST=, PORT=, MODELS= override)
	@$(VENV)/bin/tagbelt serve "$(MODELS)" --host "$(HOST)" --port "$(PORT)"

setup: $(VENV)/.all  ## install what training and testing need as well

test: $(VENV)/.all  ## run every test (TESTS= for some, such as TESTS=tests/data)
	@$(VENV)/bin/python -m pytest $(TESTS)

lint: $(VENV)/.all  ## ruff: lint and format
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check

format: $(VENV)/.all  ## let ruff mend what it can
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

typecheck: $(VENV)/.all  ## mypy, strict, on our packages
	@$(VENV)/bin/mypy

clean:  ## remove the environment and what tools left behind
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tagbelt needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.serving: pyproject.toml $(PINNED) | $(VENV)/bin/python
	@echo "installing what serving needs into $(VENV) (once) ..."
	@$(PIP) install --quiet --disable-pip-version-check -e . -c $(PINNED)
	@touch $@

$(VENV)/.all: pyproject.toml $(PINNED) | $(VENV)/bin/python
	@echo "installing what training and testing need into $(VENV) (once; torch is large) ..."
	@$(PIP) install --quiet --disable-pip-version-check -e '.[train,glove,test]' -c $(PINNED)
	@touch $@ $(VENV)/.serving
