#!/bin/bash
# Starts an Airflow component of docker-compose.yaml: `airflow.sh scheduler`, `airflow.sh api-server`, …
set -euo pipefail

# An installation is the demo's or a real listener's for good (include/stack/compose/settings.py), whatever profile is given later.
if [ "$(cat /opt/airflow/settings/kind)" = demo ]; then
  export SPOTIFY_API_URL=http://simulator:8765
  export SPOTIFY_ACCOUNTS_URL=$SPOTIFY_API_URL
  export RECCOBEATS_URL=$SPOTIFY_API_URL/reccobeats
  # Simulated days are asked for; the schedule would add runs of today.
  export AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE=False
fi

if [ "$1" != scheduler ]; then
  exec airflow "$@"
fi

# Tasks run on the workers of `--profile scale` when its broker is there, else beside the scheduler.
if getent hosts broker >/dev/null; then
  export AIRFLOW__CORE__EXECUTOR=CeleryExecutor
  exec airflow scheduler
fi

export AIRFLOW__CORE__EXECUTOR=LocalExecutor AIRFLOW__CORE__PARALLELISM=${TASKS_AT_ONCE:-4}
airflow scheduler &
scheduler=$!
trap 'kill -TERM $scheduler' TERM INT
# The profile may come later: then end in order, and the restart policy starts the scheduler for the workers.
while kill -0 $scheduler 2>/dev/null; do
  if getent hosts broker >/dev/null; then
    kill -TERM $scheduler
    break
  fi
  sleep 10 &
  wait -n $! $scheduler || true
done
wait $scheduler
