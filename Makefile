# Two commands matter: `make demo` and `make test`. Each does all its own set-up.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
LOCK := requirements/requirements.lock
STAMP := .venv/.locked
COMPILED := breakers/.compiled

.PHONY: help venv demo dashboard test check check-code audit check-js coverage modes soak sanitize bench format lock system screenshots icons clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

venv: $(STAMP) $(COMPILED) ## Create or refresh .venv from the lock

$(STAMP): $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { echo "Switchgear needs Python 3.11: install it, or say PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing the locked dependencies into .venv (once, about a minute) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes --progress-bar on -r $(LOCK) \
	  | sed -un 's/^Collecting \([^ ]*\).*/  \1/p; s/^Installing collected.*/  installing …/p'; test $${PIPESTATUS[0]} -eq 0
	@touch $@

$(COMPILED): breakers/circuit/_admission.c dashboard/bus/_sketches.c setup.py $(STAMP)
	@$(BIN)/python setup.py --quiet build_ext --inplace >/dev/null 2>&1 || true
	@$(BIN)/python -c 'from breakers.circuit import admission; print("The breakers are compiled." if admission.COMPILED else "No C compiler: the breakers run as plain Python.")'
	@touch $@

demo: venv ## Start the dashboard and the example fleet (PROFILE=production: all of the Procfile)
	@$(if $(filter production,$(PROFILE)),./requirements/system.sh redis-server postgres)
	@$(if $(filter production,$(PROFILE)),[ "$$(id -u)" != 0 ] || ./requirements/system.sh haproxy)
	@exec $(BIN)/python -m examples.demo $(if $(PROFILE),--profile $(PROFILE))

dashboard: venv ## Bring the demo's dashboard back after it was killed
	@exec $(BIN)/python -m examples.demo dashboard

system: ## Install the system packages that the tests need (Debian, as root)
	@./requirements/system.sh

check: check-code audit ## Lint, types, architecture and known vulnerabilities

check-code: venv
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@SWITCHGEAR_DEBUG=1 $(BIN)/mypy breakers dashboard examples tests/typed
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory check-js

audit: venv ## Known vulnerabilities of the locked packages; skipped without network
	@timeout 120 $(BIN)/pip-audit --disable-pip --no-deps --require-hashes -r requirements/requirements.lock --progress-spinner off \
	|| echo "pip-audit found something, or had no network: see above"

NODE_STAMP := node_modules/.locked

# Node only checks static/js; nothing it installs is served. CI must have it, a laptop need not.
check-js: ## Types and lint of static/js
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(NODE_STAMP) && npm run --silent check; \
	elif [ -n "$$CI" ]; then echo "npm is missing: install Node 18 or newer to check static/js"; exit 1; \
	else echo "npm is missing: static/js was not checked (apt-get install nodejs npm)"; fi

$(NODE_STAMP): package.json package-lock.json
	@npm ci --silent --no-audit --no-fund && touch $@

# Most tests wait more than they compute, so that three at a time fill two cores. What starts servers
# and browsers computes, a file or a folder in one process (see tests/conftest.py), browsers last.
# Faults need quiet: two shapes take less than a core.
SERVERS := tests/examples tests/e2e
FAULTS := tests/faults
MODES := tests/failure_modes
BY_FILE := --dist loadfile --no-loadscope-reorder

test: venv system check-code ## Everything that must hold, ending with pytest's summary
	@$(BIN)/python -m pytest -n 3 --dist loadscope $(addprefix --ignore=,$(SERVERS) $(FAULTS) $(MODES))
	@$(BIN)/python -m pytest -n 2 $(BY_FILE) $(FAULTS)
	@$(BIN)/python -m pytest -q $(MODES) --short-modes
	@$(BIN)/python -m pytest -n 2 $(BY_FILE) $(SERVERS)

# What runs in subprocesses only (greenlets, forks, alarms of hubs) is not seen: 96, not 100.
coverage: venv ## Branch coverage of the core, over plain Python (3 minutes)
	@SWITCHGEAR_PURE=1 $(BIN)/python -m pytest -q -n 2 tests/breakers \
	  $(addprefix --ignore=tests/breakers/,agent integrations exporters) \
	  --cov=breakers --cov-branch --cov-report=term-missing --cov-fail-under=96

modes: venv system ## All 47 failure modes of the shop's endpoint, in three versions (4 minutes)
	@$(BIN)/python -m pytest -q $(MODES)

soak: venv system ## Ten minutes of load while things die at random (MINUTES=2 for fewer)
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10)

# The extensions, built with the sanitizers, under the tests of admission and sketches; then built
# again without. CPython frees too little at exit to tell leaks from it.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g
SANITIZED := tests/breakers/circuit/test_admission.py tests/breakers/circuit/test_extension.py \
  tests/breakers/circuit/test_breaker.py tests/breakers/trust/test_nested_calls.py \
  tests/breakers/circuit/test_recorder.py tests/breakers/calls/test_plans.py \
  tests/dashboard/bus/test_sketches.py

sanitize: venv ## Run the C code under ASan and UBSan
	@CFLAGS="$(SANITIZE)" $(BIN)/python setup.py --quiet build_ext --inplace --force
	@LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	  $(BIN)/python -m pytest -q -p no:cacheprovider $(SANITIZED); status=$$?; \
	  $(BIN)/python setup.py --quiet build_ext --inplace --force; exit $$status

bench: venv ## Measure against the peers
	@for mode in "" --async --open "--threads 8" --memory; do $(BIN)/python -m benchmarks.calls $$mode || exit; done
	@$(BIN)/python -m benchmarks.ingest --seconds 60
	@$(BIN)/python -m benchmarks.fanout --seconds 20
	@$(BIN)/python -m benchmarks.command --seconds 15
	@$(BIN)/python -m benchmarks.agent
	@$(BIN)/python -m benchmarks.hostile
	@$(BIN)/python -m benchmarks.wall

format: venv ## Format and fix what can be fixed
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: venv ## Resolve requirements/*.in into the lock again
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --python-version 3.11 --universal --generate-hashes --no-header \
	  --no-emit-index-url --no-emit-find-links requirements/dev.in -o $(LOCK)

screenshots: venv system ## Write docs/images from a running incident
	@$(BIN)/python -m tests.e2e.screenshots

icons: venv system ## Draw static/img/icon-*.png from mark.svg
	@$(BIN)/python -m tests.e2e.icons

clean: ## Remove everything that make created
	@rm -rf breakers/.compiled breakers/circuit/_admission.*.so dashboard/bus/_sketches.*.so build .venv .demo staticfiles .mypy_cache .ruff_cache .hypothesis
