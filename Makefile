# Every command of the project. Needs only Python 3.11 to 3.13 and Debian's tools; all state is in .local/.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .local/venv
PYTHON := $(VENV)/bin/python
UV := $(VENV)/bin/uv
INSTALLED := $(VENV)/requirements.lock
STACK := $(PYTHON) -m include.stack.local
LOCK := $(UV) pip compile --universal --python-version 3.11 --quiet --no-header --no-emit-find-links --no-emit-index-url

export PYTHONPATH := $(CURDIR)
# Bytecode is kept: a dozen Airflow processes import the same thousand modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## List these targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Takes the first interpreter that really runs: a pyenv shim may exist and fail.
.PHONY: install
install:
	@set -e; \
	if ! $(PYTHON) -c 'pass' 2>/dev/null; then \
	  for python in python3.12 python3.13 python3.11 python3; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	      echo "Creating $(VENV) with $$($$python --version)"; rm -rf $(VENV); $$python -m venv $(VENV); break; \
	    fi; \
	  done; \
	  test -x $(PYTHON) || { echo "No Python 3.11, 3.12 or 3.13 with venv found (Debian: apt-get install python3 python3-venv)." >&2; exit 1; }; \
	fi; \
	if ! cmp -s requirements.lock $(INSTALLED); then \
	  echo "Installing requirements.lock into $(VENV)"; \
	  test -x $(UV) || $(PYTHON) -m pip install --quiet --disable-pip-version-check uv; \
	  $(UV) pip install --quiet --python $(PYTHON) -r requirements.lock; \
	  cp requirements.lock $(INSTALLED); \
	fi; \
	touch $(INSTALLED)

# If two makes run at once, the second waits and then finds the work done.
$(INSTALLED): requirements.lock
	@mkdir -p .local && flock .local/install.lock $(MAKE) install

.PHONY: demo
demo: $(INSTALLED)  ## Start simulated Spotify, Airflow and dashboards, run one day, stay up until Ctrl-C
	@$(STACK) demo

.PHONY: demo-once
demo-once: $(INSTALLED)  ## The same, but stop after the run; exit status 0 only if it succeeded
	@$(STACK) demo-once

.PHONY: up
up: $(INSTALLED)  ## Start the same against the real Spotify (needs .env, then make authorize)
	@$(STACK) up

.PHONY: authorize
authorize: $(INSTALLED)  ## Add a Spotify account, or renew its authorization: log in with a browser
	@$(STACK) exec --real -- python -m include.operations.authorize $(ARGS)

.PHONY: psql
psql: $(INSTALLED)  ## psql on the listening database, for example ARGS='-Atc "select 1"'
	@$(STACK) exec -- psql $(ARGS)

.PHONY: airflow
airflow: $(INSTALLED)  ## Airflow's command line, for example ARGS='dags list'
	@$(STACK) exec -- python -m airflow $(ARGS)

.PHONY: dashboards
dashboards: $(INSTALLED)  ## Serve only the dashboards
	@$(STACK) dashboards

.PHONY: report
report: $(INSTALLED)  ## Write the dashboards as HTML files to .local/report, for example ARGS='--listener ada --period 2026'
	@$(STACK) exec -- python -m dashboards.report $(ARGS)

.PHONY: stop
stop: $(INSTALLED)  ## Stop a stack started elsewhere, and whatever a killed one left running
	@$(STACK) stop

.PHONY: clean
clean: $(INSTALLED)  ## Remove all state but the virtual environment (YES=1 also removes a real listener's data)
	@$(STACK) clean $(if $(YES),--yes)

# These act on the local installation, or with IN=compose on the one in containers.
TOOLS := docker compose run --rm --quiet-pull -T tools
BACKUPS := .local/backups

.PHONY: secrets
secrets:  ## In containers: generate missing secrets, show the Airflow log-in
	@docker compose build --quiet secrets && docker compose run --rm -T secrets && docker compose run --rm --no-deps -T tools login

.PHONY: backup
backup: $(INSTALLED)  ## Back up the listening database to .local/backups (IN=compose: the containers')
ifeq ($(IN),compose)
	@mkdir -p -m 700 $(BACKUPS) && file=$(BACKUPS)/listening-$$(date -u +%Y%m%dT%H%M%SZ).tar && \
	  $(TOOLS) backup >$$file.new && mv $$file.new $$file && echo "$$file"
else
	@$(STACK) exec -- python -m include.operations.backup $(BACKUPS)
endif

.PHONY: restore
restore: $(INSTALLED)  ## Replace the listening database by a backup: FILE=… YES=1 (IN=compose: the containers')
ifeq ($(IN),compose)
	@$(TOOLS) restore $(if $(YES),--yes) <"$(FILE)"
else
	@$(STACK) exec -- python -m include.operations.restore "$(FILE)" $(if $(YES),--yes)
endif

.PHONY: forget
forget: $(INSTALLED)  ## Remove a listener and everything about them: LISTENER=… YES=1 (IN=compose: the containers')
	@$(if $(filter compose,$(IN)),$(TOOLS) forget,$(STACK) exec -- python -m include.operations.forget) "$$LISTENER" $(if $(YES),--yes)

.PHONY: doctor
doctor: $(INSTALLED)  ## Check configuration, reachability, staleness and expiry, and say what to do (IN=compose)
	@$(if $(filter compose,$(IN)),$(TOOLS) doctor,$(STACK) exec -- python -m include.operations.doctor)

.PHONY: chaos
chaos: $(INSTALLED)  ## Kill and starve a demo stack, then compare it with an undisturbed one (ARGS='--minutes 5')
	@$(PYTHON) -m tests.chaos $(ARGS)

.PHONY: test
test: $(INSTALLED)  ## Run all tests, or some: ARGS='tests/unit -k parse'
	@$(PYTHON) -m pytest $(or $(ARGS),--numprocesses 2 --dist loadfile --no-loadscope-reorder)

# The unit tests, and the integration tests of the compose file, which need no database either.
FAST := tests/unit tests/integration/operations/test_compose.py
.PHONY: test-fast
test-fast: $(INSTALLED)  ## Run the quick tests, without browser and scheduler, in under a minute
	@$(PYTHON) -m pytest --numprocesses auto --dist worksteal $(FAST) $(ARGS)

.PHONY: check-exports
check-exports: $(INSTALLED)  ## Run real export files through the whole pipeline in a temporary database: FILES='a.zip b.zip'
	@PYTHONPATH=.:plugins:dags $(PYTHON) -m tests.support.real_exports $(FILES)

.PHONY: lint
lint: $(INSTALLED)  ## Ruff, format, types, SQL, notebooks, compose file
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m sqlfluff lint --nocolor include/sql
	@$(PYTHON) -m sqlfluff lint --nocolor --templater jinja - < include/sql/analytics/item_stats.sql.j2
	@$(PYTHON) -m marimo check --strict $(addprefix dashboards/pages/,$(addsuffix .py,overview trends personas playlists quality))
	@if [ -f docker-compose.yaml ] && docker compose version >/dev/null 2>&1; then docker compose config --quiet; fi

.PHONY: format
format: $(INSTALLED)  ## Format the code and fix what can be fixed
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

.PHONY: bench
bench: $(INSTALLED)  ## Measure: print a table, write .local/bench.json and bench.log (ARGS=<benchmark names>)
	@$(PYTHON) -m tests.benchmarks $(ARGS)

.PHONY: evaluate
evaluate: $(INSTALLED)  ## Rankings and playlists against simple rivals (FILES="a.zip folder b.zip@Europe/Berlin": on real listeners)
	@FILES='$(FILES)' $(PYTHON) -m ml.evaluation.evaluate

.PHONY: lifelike
lifelike: $(INSTALLED)  ## Compare statistics of simulated and real listening (FILES='a.zip b.zip': your own exports too)
	@$(PYTHON) -m include.demo.history_statistics $(FILES)

.PHONY: lock
lock: $(INSTALLED)  ## Compile requirements.lock from requirements.txt
	@$(LOCK) requirements.txt -o requirements.lock
