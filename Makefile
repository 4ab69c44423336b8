# accesstrail: `make help` lists the targets. Needs Python >= 3.11 with venv, and make; uses uv when it is there.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONDONTWRITEBYTECODE ?=

.PHONY: help demo test check faults tamper determinism bench bench-latency bench-notify bench-start bench-memory bench-outage bench-store bench-panels bench-viewers bench-handling bench-verify soak evaluate fmt env lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  make %-14s %s\n", $$1, $$2}'

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

test: env ## check, and every test on the real local stack, side by side
	@$(BIN)/python -m tests.side_by_side

faults: env ## every fault at every gap, a thousand runs and more; RESUME=FILE goes on where it was interrupted
	$(BIN)/python -m tests.faults $(if $(RESUME),--resume $(RESUME)) $(FAULTS_OPTIONS)

tamper: env ## two hundred changes of each kind over every table and in bundles: verification must find each (an hour)
	$(BIN)/python -m tests.tamper $(TAMPER_OPTIONS)

determinism: env ## one topic read with kills every five seconds, and replayed; minutes longer than in make test
	ACCESSTRAIL_LONG=1 $(BIN)/pytest -x tests/e2e/test_determinism.py

bench: env ## print every measured number, the long ones in a short form (a quarter of an hour)
	$(BIN)/python -m tests.bench

bench-latency: env ## produced to queryable at 1,000 and 5,000 events a second
	$(BIN)/python -m tests.bench.latency

bench-start: env ## worker ready, cold and warm, and takeover after kill -9
	$(BIN)/python -m tests.bench.startup

bench-notify: env ## produced to handed to the channel at 5,000 events a second
	$(BIN)/python -m tests.bench.notification

bench-memory: env ## one worker with 100,000 profiles after a million events and a rebalance
	$(BIN)/python -m tests.bench.memory

bench-outage: env ## the store away for ten minutes under load
	$(BIN)/python -m tests.bench.outage

bench-store: env ## bytes per event and a subject's history at ten million events (half an hour)
	$(BIN)/python -m tests.bench.store

bench-panels: env ## milliseconds and rows read of every panel at ten million events (half an hour)
	$(BIN)/python -m tests.bench.panels

bench-viewers: env ## how long fifty viewers wait for the console at 5,000 events a second, and its first paint
	$(BIN)/python -m tests.bench.viewers

bench-handling: env ## CPU per alert of incident handling, and what an incident key costs in memory
	$(BIN)/python -m tests.bench.handling

bench-verify: env ## rows a second and core that verification of a store and of a bundle does
	$(BIN)/python -m tests.bench.verification

soak: env ## half an hour under load with a fault every minute
	$(BIN)/python -m tests.bench.soak

evaluate: env ## how good detection is on fifteen simulated companies, minutes for each, and weeks under the nightly budget; EVALUATE_OPTIONS="--set tuning", WEEKS_OPTIONS="--seeds 9101" for less
	$(BIN)/python -m tests.evaluate $(EVALUATE_OPTIONS)
	$(BIN)/python -m tests.evaluate.weeks $(WEEKS_OPTIONS)

fmt: env ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## resolve the dependencies anew (needs uv)
	uv lock
	uv export --frozen --no-emit-project --no-annotate -o requirements.lock

clean: ## remove what was built here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
