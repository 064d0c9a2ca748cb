#!/bin/bash
# docker compose run --rm tools <command>: operations on an installation in containers.
set -euo pipefail
command=${1:-doctor}
shift || true
case $command in
  login) echo "Airflow: user admin, password $(cat /opt/airflow/secrets/admin/password)" ;;
  backup) exec python -m include.operations.backup "${@:--}" ;;
  restore) exec python -m include.operations.restore - "$@" ;;
  doctor | forget) exec python -m "include.operations.$command" "$@" ;;
  psql) exec "$(python -c 'from include.operations.postgres_programs import postgres_program; print(postgres_program("psql"))')" "$@" ;;
  *) echo "login, doctor, backup > FILE, restore --yes < FILE, forget USER_ID --yes, psql" >&2; exit 2 ;;
esac
