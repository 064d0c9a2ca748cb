# Every command of the project. Needs only Python 3.11 to 3.13 and Debian's tools; all state lives in .local/.
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
# Airflow is a dozen processes that import the same thousand modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## List these targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# The first interpreter that runs: a pyenv shim may exist and still fail.
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

# Two makes at once: the second waits, then finds the work done.
$(INSTALLED): requirements.lock
	@mkdir -p .local && flock .local/install.lock $(MAKE) install

.PHONY: demo
demo: $(INSTALLED)  ## Simulated Spotify, Airflow and dashboards; one run; stays up until Ctrl-C
	@$(STACK) demo

.PHONY: demo-once
demo-once: $(INSTALLED)  ## The same, then stops everything; exit status 0 only if the run succeeded
	@$(STACK) demo-once

.PHONY: up
up: $(INSTALLED)  ## The same stack against the real Spotify (.env, make authorize first)
	@$(STACK) up

.PHONY: authorize
authorize: $(INSTALLED)  ## Add a Spotify account: opens a loopback address to log in
	@$(STACK) exec --real -- python -m include.operations.authorize $(ARGS)

.PHONY: psql
psql: $(INSTALLED)  ## psql on the listening database, for example ARGS='-Atc "select 1"'
	@$(STACK) exec -- psql $(ARGS)

.PHONY: airflow
airflow: $(INSTALLED)  ## Airflow's command line, for example ARGS='dags list'
	@$(STACK) exec -- python -m airflow $(ARGS)

.PHONY: dashboards
dashboards: $(INSTALLED)  ## Only the dashboards, on the data that is there
	@$(STACK) dashboards

.PHONY: report
report: $(INSTALLED)  ## The dashboards as HTML files in .local/report, for example ARGS='--listener ada --period 2026'
	@$(STACK) exec -- python -m dashboards.report $(ARGS)

.PHONY: stop
stop: $(INSTALLED)  ## Stop a stack started elsewhere, and what a killed one left behind
	@$(STACK) stop

.PHONY: clean
clean: $(INSTALLED)  ## Remove all state but the virtual environment (YES=1 also removes a real listener's data)
	@$(STACK) clean $(if $(YES),--yes)

# Where these act: the local installation, or with IN=compose the one in containers.
TOOLS := docker compose run --rm --quiet-pull -T tools
BACKUPS := .local/backups

.PHONY: secrets
secrets:  ## Containers: generate the secrets that are missing, show the Airflow login
	@docker compose build --quiet secrets && docker compose run --rm -T secrets && docker compose run --rm --no-deps -T tools login

.PHONY: backup
backup: $(INSTALLED)  ## Back the listening database up into .local/backups (IN=compose: of the containers)
ifeq ($(IN),compose)
	@mkdir -p -m 700 $(BACKUPS) && file=$(BACKUPS)/listening-$$(date -u +%Y%m%dT%H%M%SZ).tar && \
	  $(TOOLS) backup >$$file.new && mv $$file.new $$file && echo "$$file"
else
	@$(STACK) exec -- python -m include.operations.backup $(BACKUPS)
endif

.PHONY: restore
restore: $(INSTALLED)  ## Replace the listening database by a backup: FILE=… YES=1 (IN=compose: of the containers)
ifeq ($(IN),compose)
	@$(TOOLS) restore $(if $(YES),--yes) <"$(FILE)"
else
	@$(STACK) exec -- python -m include.operations.restore "$(FILE)" $(if $(YES),--yes)
endif

.PHONY: forget
forget: $(INSTALLED)  ## Remove a listener and everything about them: LISTENER=… YES=1 (IN=compose: in the containers)
	@$(if $(filter compose,$(IN)),$(TOOLS) forget,$(STACK) exec -- python -m include.operations.forget) "$$LISTENER" $(if $(YES),--yes)

.PHONY: doctor
doctor: $(INSTALLED)  ## What is configured, reachable, stale or about to expire, and what to do (IN=compose)
	@$(if $(filter compose,$(IN)),$(TOOLS) doctor,$(STACK) exec -- python -m include.operations.doctor)

.PHONY: chaos
chaos: $(INSTALLED)  ## Kill and starve a demo stack, compare with an undisturbed one (ARGS='--minutes 5')
	@$(PYTHON) -m tests.chaos.chaos $(ARGS)

.PHONY: test
test: $(INSTALLED)  ## All tests, or some: ARGS='tests/unit -k parse'
	@$(PYTHON) -m pytest $(or $(ARGS),--numprocesses 2 --dist loadfile --no-loadscope-reorder)

.PHONY: check-exports
check-exports: $(INSTALLED)  ## Real export files through everything, in a database of their own: FILES='a.zip b.zip'
	@PYTHONPATH=.:plugins:dags $(PYTHON) -m tests.support.real_exports $(FILES)

.PHONY: lint
lint: $(INSTALLED)  ## Ruff, format, types, notebooks, compose file
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@$(PYTHON) -m marimo check --strict $(addprefix dashboards/pages/,$(addsuffix .py,overview trends personas playlists quality))
	@if [ -f docker-compose.yaml ] && docker compose version >/dev/null 2>&1; then docker compose config --quiet; fi

.PHONY: format
format: $(INSTALLED)  ## Rewrite the code as `make lint` wants it
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

.PHONY: bench
bench: $(INSTALLED)  ## Measure; prints a table, writes .local/bench.json and .log (ARGS=<benchmark names>)
	@$(PYTHON) -m tests.benchmarks $(ARGS)

.PHONY: evaluate
evaluate: $(INSTALLED)  ## Rankings and playlists against simple rivals (FILES="a.zip folder b.zip@Europe/Berlin": on real listeners)
	@FILES='$(FILES)' $(PYTHON) -m ml.evaluation.evaluate

.PHONY: lifelike
lifelike: $(INSTALLED)  ## Statistics of the simulated listening beside real ones (FILES='a.zip b.zip': your own exports too)
	@$(PYTHON) -m include.demo.history_statistics $(FILES)

.PHONY: lock
lock: $(INSTALLED)  ## Compile requirements.lock from requirements.txt
	@$(LOCK) requirements.txt -o requirements.lock
