# One front door. `make demo` and `make test` need Python >= 3.10 and make, nothing else.
# A different index or a local wheel folder: make demo PIP_ARGS="--index-url https://…"
PYTHON ?= python3
PIP_ARGS ?=
VENV ?= .venv
OUT ?= belm-demo
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test lint types generate check clean
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(BIN)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]' torch
	@touch $@

demo: $(BIN)/.ready ## derive, generate, sample, invert, report: open belm-demo/report.html
	$(BIN)/belm demo --out $(OUT)

test: $(BIN)/.ready ## lint, types, import directions, generated code, then all tests
	$(MAKE) lint types check
	$(BIN)/python -m pytest

lint: $(BIN)/.ready ## ruff, and the directions of imports
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(BIN)/.ready ## mypy over all packages
	$(BIN)/mypy

generate: $(BIN)/.ready ## write belm_runtime/_generated from the derivations
	$(BIN)/belm generate

check: $(BIN)/.ready ## compare belm_runtime/_generated with the derivations
	$(BIN)/belm generate --check

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist belm-demo
