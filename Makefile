# The commands of Convoke. `make` lists them. You need git, make and Python >= 3.11; make installs everything else.
.DEFAULT_GOAL := help
.PHONY: schemathesis screenshots chromium help up demo test fast coverage mutants soak e2e-aws e2e-lambda sam-local check contract-node build verify-build lint-template bench docs docs-tables audit sbom lock-tools setup install format
SHELL := /bin/bash

SAM := SAM_CLI_TELEMETRY=0 .tools/bin/sam
# The Makefile of the layer reads uv.lock, two folders up, which a build in a temporary folder would not see. The options
# are here and not in samconfig.toml, because `sam deploy --guided` writes into that file and git must not track it.
SAM_BUILD_OPTIONS := --build-in-source --no-cached
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
RUN := $(UV) run --no-sync
COMPILE := import convoke.cli.up; from convoke.embedded.engine import EmbeddedEngine; EmbeddedEngine(':memory:').close()

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: install ## Start the API on this machine (ARGS="--port 8001" passes options to `convoke up`)
	@echo "Starting Convoke"
	@$(RUN) convoke up $(ARGS)

demo: install ## Run the demo: create conversations with the official SDK and print every step
	@$(RUN) convoke demo

# Playwright runs an event loop on the main thread, so the tests of the console need a process of their own.
test: check chromium ## Run all checks and all tests
	@$(RUN) python -c 'from convoke.cli.ministack import fetch; fetch()'
	$(RUN) pytest --numprocesses 2 --dist loadgroup --ignore tests/browser
	$(RUN) pytest --quiet tests/browser
	@$(MAKE) --no-print-directory verify-build
	$(if $(shell command -v npm 2>/dev/null),$(MAKE) --no-print-directory contract-node,@echo "npm not found: skipped the tests with the Node SDK")

coverage: setup ## Run every test and print the branch coverage of the product (at least 95 %)
	@$(RUN) coverage erase
	@# If a test fails, the data is still combined and reported, because the run takes many minutes.
	@status=0; \
	COVERAGE_FILE="$(CURDIR)/.coverage" COVERAGE_PROCESS_START="$(CURDIR)/pyproject.toml" \
		$(RUN) python -m pytest --quiet --numprocesses 2 --dist loadgroup -p tests.mutation.plugin --ignore tests/browser \
		|| status=$$?; \
	$(RUN) coverage combine --quiet || status=$$?; \
	$(RUN) coverage report --fail-under 95 || status=$$?; \
	exit $$status

mutants: setup ## Put 60 small faults into the product, one at a time, and list those that no test notices (SEED=2 draws others)
	@test -f .coverage || $(MAKE) --no-print-directory coverage
	$(RUN) python -m tests.mutation.run --seed $(or $(SEED),1)

screenshots: setup ## Take the screenshots of docs/console.md (needs Chromium)
	$(RUN) python -m tests.browser.screenshots

# Debian's Chromium, for the tests of the console. Only CI as root installs it. tests/support/chromium.py has the same names.
chromium:
	@command -v chromium chromium-browser google-chrome google-chrome-stable > /dev/null || { \
		if [ "$$CI" = true ] && [ "$$(id -u)" = 0 ]; then \
			apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends chromium > /dev/null; \
		else \
			echo "Chromium not found: skipped the tests of the console"; \
		fi; }

soak: setup ## Kill `convoke up` 50 times under load, then send 10^6 random requests (KILLS=5 REQUESTS=1000: fewer, SEED=2: others)
	$(RUN) python -m tests.faults.soak --kills $(or $(KILLS),50) --seed $(or $(SEED),1)
	$(RUN) python -m tests.faults.fuzz --requests $(or $(REQUESTS),1000000) --seed $(or $(SEED),1)

schemathesis: setup ## Send 100 valid and 100 invalid requests to each operation of /openapi.json (EXAMPLES=1000: more, SEED=2: others)
	$(RUN) python -m tests.property.described_requests --examples $(or $(EXAMPLES),100) --seed $(or $(SEED),1)

fast: check ## Run the checks and the unit tests only
	$(RUN) pytest --quiet tests/unit

e2e-aws: setup ## Deploy the template to MiniStack, an AWS emulator, and test it with the SDK
	$(RUN) pytest tests/e2e/test_aws_stack.py

# What runs on this machine is built for its processor, and `make build` for the processor of the deployment.
e2e-lambda sam-local verify-build bench: export CONVOKE_ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

e2e-lambda: build ## Invoke every built function in Lambda's runtime with the samples of events/
	$(RUN) pytest -m built tests/e2e/test_lambda.py

sam-local: build ## The same with `sam local invoke`, in Lambda's image (needs Docker or podman)
	$(RUN) python -m tests.support.sam_local

check: setup ## Check format, lint rules, types, import rules and the links of the docs
	$(RUN) ruff format --check --quiet .
	$(RUN) ruff check --quiet .
	$(RUN) mypy
	$(RUN) lint-imports --no-logo
	@$(MAKE) --no-print-directory docs

contract-node: setup ## Test with the official Node SDK, and the npm package convoke-testing (needs npm)
	cd tests/node && npm ci --silent --no-audit --no-fund && CONVOKE="$(CURDIR)/.venv/bin/convoke" npm test --silent
	cd tests/node/example && npm ci --silent --no-audit --no-fund && npm run types --silent && CONVOKE="$(CURDIR)/.venv/bin/convoke" npm test --silent

# The built template accepts only the architecture of the built layer. CloudFormation then refuses any other value before
# it changes a stack: a saved, previous or given one. Lambda would accept it, and every function would fail to start.
build: setup .tools/bin/sam ## Build the functions and the layer for AWS (needs Python 3.13)
	@architecture="$$(./.ci/architecture)" && folder="$$(./.ci/python313)" && { \
		PATH="$$folder:$$PATH" CONVOKE_ARCHITECTURE="$$architecture" $(SAM) build $(SAM_BUILD_OPTIONS) > .aws-sam.log 2>&1 || { cat .aws-sam.log; exit 1; } \
	} && ./.ci/pin-architecture "$$architecture" .aws-sam/build/template.yaml

lint-template: setup .tools/bin/cfn-lint .tools/bin/checkov ## Check template.yaml with cfn-lint and checkov
	$(RUN) python -m tests.support.lint_template

# Without Python 3.13 the build is skipped. In CI that is an error if the machine has a Python 3.13 that was not found.
verify-build: setup lint-template .tools/bin/sam
	@if ./.ci/python313 > /dev/null; then \
		$(MAKE) --no-print-directory build && $(RUN) pytest --quiet -m built tests/infrastructure tests/e2e; \
	elif [ "$$CI" = true ] && [ -n "$$(find / -xdev -name python3.13 -type f -perm -u+x -print -quit 2> /dev/null)" ]; then \
		echo "Python 3.13 is installed, but .ci/python313 did not find it"; exit 1; \
	else \
		echo "Python 3.13 not found: skipped the build for AWS and its tests"; \
	fi

bench: $(filter .tools/bin/uv,$(UV)) ## Run the benchmarks (15 minutes on a quiet machine) and update docs/benchmarks.md
	@if ./.ci/python313 > /dev/null; then $(MAKE) --no-print-directory build; fi
	@$(UV) sync --locked --quiet --group bench
	$(RUN) python -m tests.benchmarks.bench

docs: setup ## Build the documentation into site/; a dead link or anchor is an error
	$(RUN) zensical build --clean --strict

docs-tables: setup ## Update the generated parts of the docs: API coverage, errors, benchmarks, the examples of /openapi.json
	$(RUN) python -m tests.support.operations_table
	$(RUN) python -m tests.support.error_table
	$(RUN) python -m tests.support.dependency_table
	$(RUN) python -m tests.support.openapi_examples
	$(RUN) python -m tests.benchmarks.figures > /dev/null

audit: setup ## Look for known vulnerabilities in the dependencies (needs the internet)
	$(UV) audit --locked

sbom: setup ## Write sbom.json, a CycloneDX list of everything that the product installs
	@$(UV) export --locked --quiet --format cyclonedx1.5 --package convoke-conversations --all-extras --no-dev --output-file sbom.json > /dev/null

# To update a tool, change its version in .ci/tools/*.in, run `make lock-tools` and commit both files.
lock-tools: setup ## Lock the tools that are not in uv.lock (uv, SAM CLI, cfn-lint, checkov, MiniStack, AWS's runtime client)
	@for tool in .ci/tools/*.in; do $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate $$tool --output-file $${tool%.in}.txt; done

format: setup ## Format the code and apply automatic fixes
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

setup: $(filter .tools/bin/uv,$(UV))
	@$(UV) sync --locked --quiet

# What running needs, without the tools for development. --inexact keeps those tools if they are installed. The first start
# of an engine compiles the modules that it imports; to compile every module of every package would take longer.
install: $(filter .tools/bin/uv,$(UV))
	@test -x .venv/bin/convoke && is_new= || { is_new=1; echo "Installing Convoke into .venv"; }; \
		$(UV) sync --locked --inexact --no-default-groups --no-compile-bytecode --package convoke-conversations --extra docs --extra testing \
		&& if [ "$$is_new" ]; then echo "Compiling what Convoke imports"; ./.ci/dots .venv/bin/python -c "$(COMPILE)"; fi

.tools/bin/sam: .ci/tools/sam.txt | setup
	@$(UV) venv --quiet --clear .tools/environments/aws-sam-cli
	@$(UV) pip sync --quiet --require-hashes --python .tools/environments/aws-sam-cli .ci/tools/sam.txt
	@ln -sf ../environments/aws-sam-cli/bin/sam .tools/bin/sam

.tools/bin/cfn-lint .tools/bin/checkov: .tools/bin/%: .ci/tools/%.txt | setup
	@$(UV) venv --quiet --clear .tools/environments/$*
	@$(UV) pip sync --quiet --require-hashes --python .tools/environments/$* $<
	@ln -sf ../environments/$*/bin/$* $@

.tools/bin/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Convoke needs Python >= 3.11 as python3"; exit 1; }
	@echo "Installing uv, the package manager, into .tools"
	@python3 -m venv --without-pip .tools
	@# The pip of python3 is enough. Without one, the virtual environment needs its own.
	@python3 -m pip --python .tools/bin/python --version > /dev/null 2>&1 || .tools/bin/python -m ensurepip > /dev/null \
		|| { echo "python3 has no pip: on Debian, run apt-get install python3-venv"; exit 1; }
	@pip="python3 -m pip --python .tools/bin/python"; $$pip --version > /dev/null 2>&1 || pip=".tools/bin/python -m pip"; \
		./.ci/dots $$pip install --quiet --disable-pip-version-check --no-compile --require-hashes --requirement .ci/tools/uv.txt
