# The verbs of Convoke. `make` alone lists them. A machine needs git, make and Python >= 3.11; the rest comes by itself.
.DEFAULT_GOAL := help
.PHONY: help up demo test fast coverage mutants e2e-aws e2e-lambda sam-local check contract-node build verify-build bench setup format
SHELL := /bin/bash

UV_VERSION := 0.13.9
SAM_VERSION := 1.170.0
SAM := SAM_CLI_TELEMETRY=0 .tools/bin/sam
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
RUN := $(UV) run --no-sync

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: setup ## Install what is missing and start the API on this machine
	@$(RUN) convoke up

demo: setup ## Call two groups together with the official SDK, live through a conversation, and watch
	@$(RUN) convoke demo

test: check ## Install what is missing and pass every check and test
	@$(RUN) python -c 'from convoke.local.aws_stack import fetch; fetch()'
	$(RUN) pytest --numprocesses 2 --dist loadgroup tests
	@$(MAKE) --no-print-directory verify-build
	$(if $(shell command -v npm 2>/dev/null),$(MAKE) --no-print-directory contract-node,@echo "no npm here: the Node SDK was not tested")

coverage: setup ## Run every test and print the branch coverage of the product (at least 95 %)
	@$(RUN) coverage erase
	COVERAGE_FILE="$(CURDIR)/.coverage" COVERAGE_PROCESS_START="$(CURDIR)/pyproject.toml" \
		$(RUN) python -m pytest --quiet --numprocesses 2 --dist loadgroup -p tests.mutation.plugin tests
	@$(RUN) coverage combine --quiet
	$(RUN) coverage report --fail-under 95

mutants: setup ## Put 60 small faults into the product, one at a time, and list those that no test notices (SEED=2 draws others)
	@test -f .coverage || $(MAKE) --no-print-directory coverage
	$(RUN) python -m tests.mutation.run --seed $(or $(SEED),1)

fast: check ## The inner loop: checks and unit tests
	$(RUN) pytest --quiet tests/unit

e2e-aws: setup ## Deploy into an AWS on this machine and use it with the SDK
	$(RUN) pytest tests/e2e/test_aws_stack.py

e2e-lambda: build ## Call every function that is built, under AWS's own runtime, with the samples of events/
	$(RUN) pytest -m built tests/e2e/test_lambda.py

sam-local: build ## The same with `sam local invoke`, in Lambda's own image (needs Docker or podman)
	$(RUN) python -m tests.support.sam_local

check: setup ## Format, lint, types, and who may import whom
	$(RUN) ruff format --check --quiet .
	$(RUN) ruff check --quiet .
	$(RUN) mypy
	$(RUN) lint-imports --no-logo

contract-node: setup ## The contract with the official Node SDK (needs npm)
	cd tests/node && npm ci --silent --no-audit --no-fund && CONVOKE="$(CURDIR)/.venv/bin/convoke" node --test

build: setup .tools/bin/sam ## Build what is deployed to AWS (needs Python 3.13)
	@folder="$$(./.ci/python313)" && PATH="$$folder:$$PATH" $(SAM) build > .aws-sam.log 2>&1 || { cat .aws-sam.log; exit 1; }

# Without a Python 3.13 nothing can be built. In CI that must not hide that one is there and was not found.
verify-build: setup .tools/bin/sam
	@$(SAM) validate --lint --region us-east-1
	@if ./.ci/python313 > /dev/null; then \
		$(MAKE) --no-print-directory build && $(RUN) pytest --quiet -m built tests/infrastructure tests/e2e; \
	elif [ "$$CI" = true ] && [ -n "$$(find / -xdev -name python3.13 -type f -perm -u+x -print -quit 2> /dev/null)" ]; then \
		echo "a Python 3.13 is installed and was not found"; exit 1; \
	else \
		echo "no Python 3.13 here: the build for AWS was not verified"; \
	fi

bench: $(filter .tools/bin/uv,$(UV)) ## Measure for ten minutes, and write the README's table and plot anew
	@if ./.ci/python313 > /dev/null; then $(MAKE) --no-print-directory build; fi
	@$(UV) sync --locked --quiet --group bench
	$(RUN) python -m tests.benchmarks.bench

format: setup ## Put the code into its form
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

setup: $(filter .tools/bin/uv,$(UV))
	@$(UV) sync --locked --quiet

.tools/bin/sam: | setup
	@UV_TOOL_DIR=.tools/environments UV_TOOL_BIN_DIR=.tools/bin $(UV) tool install --quiet aws-sam-cli==$(SAM_VERSION)

.tools/bin/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Convoke needs Python >= 3.11 as python3"; exit 1; }
	@python3 -m venv .tools || { echo "python3 cannot make environments: on Debian, apt-get install python3-venv"; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
