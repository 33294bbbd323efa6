# One front door. `make demo` and `make test` need Python >= 3.10 and make, nothing else.
# A different index or a local wheel folder: make demo PIP_ARGS="--index-url https://…"
PYTHON ?= python3
PIP_ARGS ?=
VENV ?= .venv
OUT ?= belm-demo
MODEL ?=
STEPS ?= 10
DTYPE ?=
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-real lint types derive generate check bench docs clean
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(BIN)/.ready: pyproject.toml constraints.txt
	@echo "installing into $(VENV): a few minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]' torch
	@touch $@

demo: $(BIN)/.ready ## derive, generate, sample, invert, report: open belm-demo/report.html
	$(BIN)/belm demo --out $(OUT)

test: $(BIN)/.ready ## lint, types, import directions, generated code, the site, then all tests
	$(MAKE) lint types check docs
	$(BIN)/python -m pytest

test-real: $(BIN)/.ready ## the tasks on a pretrained pipeline, with their figures: make test-real MODEL=DIR [STEPS=N] [DTYPE=…]
	@test -n "$(MODEL)" || { echo "say which pipeline: make test-real MODEL=DIR"; exit 2; }
	$(BIN)/python -m pytest tests/real --model "$(MODEL)" --real-steps $(STEPS) $(if $(DTYPE),--real-dtype $(DTYPE))

lint: $(BIN)/.ready ## ruff, and the directions of imports
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(BIN)/.ready ## mypy over all packages and benchmarks
	$(BIN)/mypy

derive: $(BIN)/.ready ## decide every claim; write certificates and derivations/README.md
	$(BIN)/belm verify --certificates derivations/certificates
	$(BIN)/python docs/build.py

generate: $(BIN)/.ready ## write belm_runtime/_generated from the derivations
	$(BIN)/belm generate

check: $(BIN)/.ready ## compare belm_runtime/_generated with the derivations
	$(BIN)/belm generate --check

bench: $(BIN)/.ready ## measure: round trips, bounds, stability, integers, gradients, a step, tasks, audits, designs (figures; 1 h)
	$(BIN)/python benchmarks/round_trip.py
	$(BIN)/python benchmarks/convergence_bound.py
	$(BIN)/python benchmarks/stability_figure.py
	$(BIN)/python benchmarks/regions_figure.py
	$(BIN)/python benchmarks/root_loci_figure.py
	$(BIN)/belm bench bit-errors-figure
	$(BIN)/belm bench integer-cost
	$(BIN)/belm bench gradient-cost
	$(BIN)/belm bench gradient-figure
	$(BIN)/belm bench steering
	$(BIN)/belm bench step --out docs/images/step-overhead.png
	$(BIN)/belm bench editing
	$(BIN)/belm bench bare-inversion
	$(BIN)/belm bench audit-schedulers --out docs/images/audit-differences.png
	$(BIN)/belm bench design --json benchmarks/design.json --out docs/images/design-pareto.png
	$(BIN)/belm bench design-scores
	$(BIN)/belm bench exponential

docs: $(BIN)/.ready ## build the documentation into site/, warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist belm-demo site docs/theory docs/reference/commands.md
