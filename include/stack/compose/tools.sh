#!/bin/bash
# docker compose run --rm tools <command>: what can be done to an installation in containers.
set -euo pipefail
command=${1:-doctor}
shift || true
case $command in
  login) echo "Airflow: user admin, password $(cat /opt/airflow/secrets/admin/password)" ;;
  backup) exec python -m include.operations.backup "${@:--}" ;;
  restore) exec python -m include.operations.restore - "$@" ;;
  doctor | forget) exec python -m "include.operations.$command" "$@" ;;
  psql) exec "$(python -c 'from include.stack.local.postgres import psql_command; print(psql_command())')" "$@" ;;
  *) echo "login, doctor, backup > FILE, restore --yes < FILE, forget USER_ID --yes, psql" >&2; exit 2 ;;
esac
