# The verbs of Convoke. `make` alone lists them. A machine needs git, make and Python >= 3.11; the rest comes by itself.
.DEFAULT_GOAL := help
.PHONY: help up demo test fast check contract-node setup format
SHELL := /bin/bash

UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
RUN := $(UV) run --no-sync

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: setup ## Install what is missing and start the API on this machine
	@$(RUN) convoke up

demo: setup ## Call two groups together with the official SDK, and watch
	@$(RUN) convoke demo

test: check ## Install what is missing and pass every check and test
	$(RUN) pytest --numprocesses 2 tests
	$(if $(shell command -v npm 2>/dev/null),$(MAKE) --no-print-directory contract-node,@echo "no npm here: the Node SDK was not tested")

fast: check ## The inner loop: checks and unit tests
	$(RUN) pytest --quiet tests/unit

check: setup ## Format, lint, types, and who may import whom
	$(RUN) ruff format --check --quiet .
	$(RUN) ruff check --quiet .
	$(RUN) mypy
	$(RUN) lint-imports --no-logo

contract-node: setup ## The contract with the official Node SDK (needs npm)
	cd tests/node && npm ci --silent --no-audit --no-fund && CONVOKE="$(CURDIR)/.venv/bin/convoke" node --test

format: setup ## Put the code into its form
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

setup: $(filter .tools/bin/uv,$(UV))
	@$(UV) sync --locked --quiet

.tools/bin/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Convoke needs Python >= 3.11 as python3"; exit 1; }
	@python3 -m venv .tools || { echo "python3 cannot make environments: on Debian, apt-get install python3-venv"; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
