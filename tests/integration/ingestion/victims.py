"""What test_kills runs in processes of their own, to be killed."""

from __future__ import annotations

import os
import time
from typing import Any


def run(operator: str, arguments: dict[str, Any], environment: dict[str, str], times: Any) -> None:
    """Execute an operator; put the seconds it took into `times`."""
    import ingestion_operators
    from airflow.sdk.crypto import get_fernet

    os.environ.update(environment)
    get_fernet.cache_clear()
    started = time.monotonic()
    getattr(ingestion_operators, operator)(task_id="victim", **arguments).execute({"run_id": "run"})
    times.put(time.monotonic() - started)
