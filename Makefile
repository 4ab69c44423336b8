# accesstrail: `make help` lists the targets. Needs Python >= 3.11 with venv, and make; uses uv when it is there.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE ?=

.PHONY: help demo test check faults bench fmt env lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  make %-8s %s\n", $$1, $$2}'

env: $(VENV)/.ready ## create or update the environment in .venv

$(VENV)/.ready: pyproject.toml uv.lock requirements.lock
	@PYTHON="$(PYTHON)" bash deploy/local/environment.sh "$(VENV)"
	@touch $@

demo: env ## run the whole system on this machine: real Kafka, real ClickHouse, a live attack, its explanation
	@$(BIN)/accesstrail demo

check: env ## lint, types, import arrows, generated documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## check, then every test on the real local stack
	$(BIN)/pytest

faults: env ## every fault at every gap, a thousand runs and more; RESUME=FILE goes on where it was interrupted
	$(BIN)/python -m tests.faults $(if $(RESUME),--resume $(RESUME)) $(FAULTS_OPTIONS)

bench: env ## print the measured numbers as ratios in one run
	$(BIN)/python -m tests.bench

fmt: env ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve the dependencies anew (needs uv)
	uv lock
	uv export --frozen --no-emit-project --no-annotate -o requirements.lock

clean: ## remove what was built here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
