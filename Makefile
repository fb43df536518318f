# `make drill` and `make test` do everything from a bare checkout, set-up included. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= runs

# Compiled modules are kept, whatever the environment says: the tests start hundreds of interpreters.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup drill drills demo test test-fast test-prom3 test-vm test-panels test-sums test-expositions test-drills test-litellm test-real-chain real-parts test-toxiproxy golden golden-diff lint bench bench-quiet bench-quiet-month bench-evaluation clean

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.stack ## Virtual environment, tiercli, prometheus, alertmanager

$(VENV)/.tiercli: pyproject.toml .ci/venv
	@PYTHON="$(PYTHON)" sh .ci/venv $(VENV)
	@echo "installing tiercli into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.tiercli
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.stack: $(VENV)/.tiercli
	@$(BIN)/tiercli stack install
	@touch $@

drill: setup ## The provider-outage drill, live, to a verdict and a report
	@$(BIN)/tiercli drill run provider-outage --runs $(RUNS)

drills: setup ## Three drills, one after another: an outage, a degraded provider, a quiet hour
	@$(BIN)/tiercli drill run provider-outage provider-degraded quiet --runs $(RUNS)

demo: setup ## The sandbox under load, kept up until Ctrl-C
	@$(BIN)/tiercli stack up --load

test: setup $(VENV)/.dev ## Lint, types and all tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -m "not drill and not slow" -n 6 --dist worksteal   # many of them wait for a server
	@$(BIN)/python -m pytest -m "drill and not slow" -n 2 --dist worksteal   # two at most: what they measure is time

test-fast: setup $(VENV)/.dev ## Tests that start no drill
	@$(BIN)/python -m pytest -m "not drill and not slow" -n auto

PROM3 := .prom3
$(PROM3)/versions.txt: .ci/prom3 .ci/unstable.py
	@$(PYTHON) .ci/prom3 $(PROM3)

# What starts a server or reads what servers read, on the servers that are named; then three drills.
test-prom3: setup $(VENV)/.dev $(PROM3)/versions.txt ## The same on Debian unstable's Prometheus 3 and Alertmanager, in a folder of their own
	@set -e; for program in prometheus promtool alertmanager amtool; do \
	  export TIERCLI_$$(echo $$program | tr a-z A-Z)=$(CURDIR)/$(PROM3)/bin/$$program; done; \
	$(BIN)/tiercli stack status; \
	$(BIN)/python -m pytest tests/prom3; \
	$(BIN)/python -m pytest -m "not drill and not slow" -n 4 tests/rules tests/sources tests/lint tests/sandbox tests/output tests/clients tests/audit tests/cardinality/test_plan_exact.py; \
	$(BIN)/tiercli drill run provider-outage provider-degraded quiet --runs $(RUNS)

VM := .victoriametrics
$(VM)/versions.txt: .ci/victoriametrics .ci/unstable.py
	@$(PYTHON) .ci/victoriametrics $(VM)

test-vm: setup $(VENV)/.dev $(VM)/versions.txt ## The generated rules and their tests on VictoriaMetrics, vmalert and vmalert-tool
	@cat $(VM)/versions.txt
	@TIERCLI_VICTORIAMETRICS=$(CURDIR)/$(VM) $(BIN)/python -m pytest tests/vm

test-panels: setup $(VENV)/.dev ## Every query of every panel, in a sandbox under load, then under faults
	@$(BIN)/python -m pytest tests/drills/test_every_panel.py

test-sums: setup $(VENV)/.dev ## Sums of days and months, for 300 random histories of counters
	@$(BIN)/python -m pytest tests/rules/test_sums.py -s -n 2

test-expositions: setup $(VENV)/.dev ## Thousands of exposition texts, right and wrong, as a real Prometheus takes them
	@$(BIN)/python -m pytest tests/cardinality/test_exposition_scrapes.py
	@if [ -x $(PROM3)/bin/prometheus ]; then \
	  TIERCLI_PROMETHEUS=$(CURDIR)/$(PROM3)/bin/prometheus $(BIN)/python -m pytest tests/cardinality/test_exposition_scrapes.py; \
	else echo "not on Prometheus 3, which is not in $(PROM3): make $(PROM3)/versions.txt gets it"; fi

TOXIPROXY := .toxiproxy
TOXIPROXY_VERSION ?= v2.5.0
$(TOXIPROXY)/server:
	@command -v go >/dev/null || { echo "error: Toxiproxy is built with Go, which is not here" >&2; exit 3; }
	@GOBIN=$(CURDIR)/$(TOXIPROXY) go install github.com/Shopify/toxiproxy/v2/cmd/server@$(TOXIPROXY_VERSION)

test-toxiproxy: setup $(VENV)/.dev $(TOXIPROXY)/server ## Faults by a real Toxiproxy, built into a folder of its own
	@TIERCLI_TOXIPROXY=$(CURDIR)/$(TOXIPROXY)/server $(BIN)/python -m pytest -m slow -n 2 tests/faults/environment

test-drills: setup $(VENV)/.dev ## Whole drills that make test has no time for: live ones, blind ones
	@$(BIN)/python -m pytest tests/drills -m "drill and slow" -n 2 --dist worksteal

LLAMACPP := .llamacpp
$(LLAMACPP)/model.gguf: .ci/llamacpp .ci/llama-model .ci/unstable.py
	@$(PYTHON) .ci/llamacpp $(LLAMACPP)

real-parts: $(LLAMACPP)/model.gguf ## LiteLLM, a llama.cpp server and a tiny model for it, in folders of their own
	@PYTHON="$(PYTHON)" sh .ci/litellm .litellm
	@echo "export TIERCLI_LITELLM=$(CURDIR)/.litellm/bin/litellm TIERCLI_LLAMA_SERVER=$(CURDIR)/$(LLAMACPP)/llama-server TIERCLI_LLAMA_MODEL=$(CURDIR)/$(LLAMACPP)/model.gguf"

test-real-chain: setup $(VENV)/.dev real-parts ## Drills of real programs: LiteLLM before llama.cpp and simulated providers
	@TIERCLI_LITELLM=$(CURDIR)/.litellm/bin/litellm TIERCLI_LLAMA_SERVER=$(CURDIR)/$(LLAMACPP)/llama-server \
	  TIERCLI_LLAMA_MODEL=$(CURDIR)/$(LLAMACPP)/model.gguf $(BIN)/python -m pytest tests/real_chain

test-litellm: setup $(VENV)/.dev ## A live drill against LiteLLM's own proxy, by its own metrics
	@PYTHON="$(PYTHON)" sh .ci/litellm .litellm
	@TIERCLI_LITELLM=$(CURDIR)/.litellm/bin/litellm $(BIN)/python -m pytest tests/litellm

golden: setup $(VENV)/.dev ## Rewrite the golden files, then test against them
	@TIERCLI_GOLDEN=update $(BIN)/python -m pytest -q -k "golden or transcript" || true
	@$(BIN)/python -m pytest -q -k "golden or transcript"

BASE ?= HEAD
golden-diff: $(VENV)/.tiercli ## Show how all generated files differ from those of a commit: BASE=HEAD
	@sh .ci/golden-diff $(CURDIR)/$(BIN)/python $(BASE)

lint: $(VENV)/.dev ## Format and check the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/mypy

bench: setup $(VENV)/.dev ## Measure what README states
	@$(BIN)/python tests/bench/bench_startup.py
	@$(BIN)/python -m tests.bench.bench_stages
	@$(BIN)/python tests/bench/bench_fault_proxy.py
	@$(BIN)/python -m tests.bench.bench_load
	@$(BIN)/python -m tests.bench.bench_audit
	@$(BIN)/python -m tests.bench.bench_cardinality

bench-quiet: setup $(VENV)/.dev ## The quiet drill twenty times: does anything cry wolf? Ten minutes
	@$(BIN)/python -m tests.bench.bench_quiet

bench-quiet-month: setup $(VENV)/.dev ## A simulated quiet month, and two faults, in promtool: does anything cry wolf?
	@$(BIN)/python -m tests.bench.bench_quiet_month

bench-evaluation: setup $(VENV)/.dev ## How long Prometheus takes over 100,000 series: a quarter of an hour
	@$(BIN)/python -m tests.bench.bench_evaluation

clean: ## Remove the virtual environment, caches and runs
	@rm -rf .golden $(VENV) $(PROM3) $(VM) $(TOXIPROXY) $(LLAMACPP) .litellm $(RUNS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
