# Two commands do everything on a fresh machine with Python 3.11 or newer and make:
#   make demo   install, run the main job on sample_data/, serve on 127.0.0.1:8000
#   make test   install, run every test that needs no extra server
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000

.PHONY: help demo test check test-all conformance bench format lock clean
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The environment is remade only when the lock file it was made from changes.
$(VENV)/.run: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Portolan needs Python 3.11 or newer on the PATH" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned requirements into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "installing the pinned test tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.run ## install, load sample_data, learn, propose and serve on 127.0.0.1:8000 (DEMO_ONCE=1: do not keep serving)
	@$(BIN)/portolan demo --data-dir .demo --port $(PORT) $(if $(DEMO_ONCE),--once)

test: $(VENV)/.dev ## install and run all tests that need no extra server
	@$(BIN)/python -m pytest -n 2 -m "not postgres and not browser and not spark and not conformance"

check: $(VENV)/.dev ## format, lint, types, import contracts, spelling
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell

test-all: $(VENV)/.dev ## everything of make test, and PostgreSQL, browser, Spark, conformance
	@.ci/suites all

CASES ?= 10000
SEED ?= $(shell date +%Y%m%d)
conformance: $(VENV)/.dev ## CASES=10000 SEED=n: random policies, ours against Cilium's own engine (needs Go)
	@$(BIN)/python -m conformance.run --cases $(CASES) --seed $(SEED) $(if $(MANIFESTS),--manifests $(MANIFESTS))

bench: $(VENV)/.dev ## speed and memory, as ratios within one run
	@$(BIN)/portolan bench

format: $(VENV)/.dev ## rewrite the code as ruff wants it
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(VENV)/.dev ## pin the requirements again (hashes, no addresses)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header -o requirements.lock requirements.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header -o requirements-dev.lock requirements-dev.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header -o requirements-spark.lock requirements-spark.in

clean: ## remove the environment and everything the demo made
	@rm -rf $(VENV) .demo build *.egg-info
