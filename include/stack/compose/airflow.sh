#!/bin/bash
# Starts an Airflow component of docker-compose.yaml: `airflow.sh scheduler`, `airflow.sh api-server`, …
set -euo pipefail

# An installation stays the demo's or real listeners' (include/stack/compose/installation_kind.py), whatever the profile.
if [ "$(cat /opt/airflow/settings/kind)" = demo ]; then
  export SPOTIFY_API_URL=http://simulator:8765
  export SPOTIFY_ACCOUNTS_URL=$SPOTIFY_API_URL
  export RECCOBEATS_URL=$SPOTIFY_API_URL/reccobeats
  # Runs of simulated days are triggered; the schedule would add runs of the real today.
  export AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE=False
fi

if [ "$1" != scheduler ]; then
  exec airflow "$@"
fi

# With `--profile scale` there is a broker, and tasks run on its workers; otherwise they run in this container.
if getent hosts broker >/dev/null; then
  export AIRFLOW__CORE__EXECUTOR=CeleryExecutor
  exec airflow scheduler
fi

export AIRFLOW__CORE__EXECUTOR=LocalExecutor AIRFLOW__CORE__PARALLELISM=${TASKS_AT_ONCE:-4}
airflow scheduler &
scheduler=$!
trap 'kill -TERM $scheduler' TERM INT
# If the broker comes later, stop: the restart policy starts the scheduler again, now for the workers.
while kill -0 $scheduler 2>/dev/null; do
  if getent hosts broker >/dev/null; then
    kill -TERM $scheduler
    break
  fi
  sleep 10 &
  wait -n $! $scheduler || true
done
wait $scheduler
