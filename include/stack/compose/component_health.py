"""Exit status 0 if Airflow's API server reports the component as healthy: `python healthy.py dag_processor`."""

import json
import sys
import urllib.request

HEALTH = "http://airflow-apiserver:8080/api/v2/monitor/health"

with urllib.request.urlopen(HEALTH, timeout=5) as answer:  # standard library only: it runs every few seconds
    sys.exit(json.load(answer)[sys.argv[1]]["status"] != "healthy")
