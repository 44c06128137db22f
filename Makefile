# TradeBot. Each target does its own set-up first; `make help` lists them.
#
#   PYTHON=python3.12   the Python to make .venv with
#   ARGS="..."          handed on to the program that the target starts
#   PROCESSES=4         how many processes share the tests (2); 0: none of its own
#   NPM=                (empty) do as if this machine had no npm

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
NPM ?= $(shell command -v npm || true)
PROCESSES ?= 2

PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet
# A stamp is written last, so that a set-up that was cut short is done again.
PACKAGES := .venv/.packages-installed
PROJECT := .venv/.project-installed
EXTRAS := .bench/.installed
PAGES := web/static/vendor/.installed

ROOMS := aggregates brokers config eventstore exporters projections runtime screeners security \
         strategies web

.PHONY: help demo run test crash years check bench

## make demo     five synthetic trading days, then the books (SERVE=1: and the pages)
## make run      the bot
## make test     all tests
## make crash    kills at every step, pairs of kills, full disks, many writers, faults of brokers
##               (30 minutes)
## make years    long-term holdings: two years against hledger, 200 histories of 50 steps
##               (2 minutes)
## make check    format, lint, types, imports, known patterns of unsafe code
## make bench    our speed against raw SQLite, hledger, beancount, backtrader and nautilus_trader
## Options of the program follow in ARGS: make demo ARGS="--seed 7", make test ARGS="-k ledger"
help:
	@sed -n 's/^## //p' Makefile

demo: $(PROJECT) $(PAGES)
	@.venv/bin/tbot demo $(if $(filter 1,$(SERVE)),--serve) $(ARGS)

run: $(PROJECT) $(PAGES)
	@.venv/bin/tbot run $(ARGS)

test: $(PROJECT) $(PAGES)
	@.venv/bin/pytest -n $(PROCESSES) --dist loadfile --max-worker-restart 0 $(ARGS)

crash: $(PROJECT)
	@PROGRAMME=full .venv/bin/pytest tests/crash tests/conformance tests/faults \
	  tests/property/test_commands_model.py $(ARGS)

years: $(PROJECT)
	@PROGRAMME=full .venv/bin/pytest -n $(PROCESSES) --dist load --max-worker-restart 0 \
	  tests/property/test_holdings_model.py tests/oracle/test_holdings_years.py $(ARGS)

check: $(PROJECT)
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/bandit -q -c pyproject.toml -r $(ROOMS) docs/verifier

bench: $(PROJECT) $(EXTRAS)
	@.venv/bin/python -m benchmarks $(ARGS)

# A .venv works only in the folder where it was made: one that was moved or copied is made anew.
ifneq ($(shell cat $(PACKAGES) 2>/dev/null),$(CURDIR))
.PHONY: $(PACKAGES)
endif

# The build tools go in first: ofxparse comes as source only, and is to be built with what the
# lock holds and not with whatever is newest.
$(PACKAGES): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "TradeBot needs Python 3.11 or newer, and '$(PYTHON)' is not that. Nothing was changed."; \
	  echo "Get it: apt install python3.11 python3.11-venv (Debian, Ubuntu), brew install python@3.11"; \
	  echo "(macOS), or https://www.python.org/downloads/; then make PYTHON=python3.11 ..."; \
	  exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make a virtual environment: python3-venv is missing. Nothing was changed."; \
	  echo "Install it and try again: apt install python3-venv (python3.11-venv beside another Python)"; \
	  exit 1; } >&2
	@echo "Set-up 1/4: a new .venv with $(PYTHON)"
	@$(PYTHON) -m venv --clear .venv
	@echo "Set-up 2/4: the Python packages of requirements.lock (about a minute)"
	@awk '/^(packaging|setuptools|wheel)==/,!/\\$$/' requirements.lock > .venv/build-tools.lock
	@$(PIP) install --require-hashes -r .venv/build-tools.lock
	@$(PIP) install --require-hashes --no-build-isolation --use-pep517 -r requirements.lock
	@echo "$(CURDIR)" > $@

# An installed project knows only the folders that were there then: a new one installs it again.
$(PROJECT): $(PACKAGES) pyproject.toml $(wildcard */__init__.py)
	@echo "Set-up 3/4: TradeBot itself"
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# Programs that only `make bench` needs, apart from everything else. Where they cannot be had, the
# table says so and the rest is measured all the same.
$(EXTRAS): benchmarks/extras.lock | $(PACKAGES)
	@echo "Set-up: the programs of benchmarks/extras.lock to measure against (about 400 MB)"
	@$(PYTHON) -m venv --clear .bench
	@.bench/bin/python -m pip --disable-pip-version-check --quiet install \
	  --require-hashes --only-binary=:all: -r benchmarks/extras.lock && touch $@ || \
	  echo "They could not be installed: measuring without them." >&2

# Only the few files that the pages load are kept; the packages go with the temporary folder.
VENDOR := htmx.org/dist/htmx.min.js uplot/dist/uPlot.iife.min.js uplot/dist/uPlot.min.css \
          @picocss/pico/css/pico.min.css

$(PAGES): web/package.json web/package-lock.json web/nodejs.lock | $(PACKAGES)
	@echo "Set-up 4/4: the scripts and styles of web/package-lock.json"
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; trap 'exit 1' INT TERM; \
	npm='$(NPM)'; \
	if [ -z "$$npm" ]; then \
	  echo "            no npm here: fetching one for this step only (about 60 MB)"; \
	  .venv/bin/python -m venv "$$work/node"; \
	  "$$work/node/bin/python" -m pip --disable-pip-version-check --quiet \
	    install --require-hashes --only-binary=:all: -r web/nodejs.lock; \
	  npm="$$work/node/bin/npm"; \
	fi; \
	cp web/package.json web/package-lock.json "$$work"; \
	cd "$$work"; \
	"$$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; \
	cd "$(CURDIR)"; \
	rm -rf web/static/vendor; \
	mkdir -p web/static/vendor; \
	for file in $(VENDOR); do cp "$$work/node_modules/$$file" web/static/vendor/; done; \
	touch $@
