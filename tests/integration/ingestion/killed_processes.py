"""What test_kills runs in processes of their own, to be killed."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from typing import Any


def run(operator: str, arguments: dict[str, Any], environment: dict[str, str], tell: Connection) -> None:
    """Execute an operator; tell when it begins and when it is done."""
    from listening.operators import ingestion as ingestion_operators

    _take_over(environment)
    tell.send("begins")
    getattr(ingestion_operators, operator)(task_id="victim", **arguments).execute({"run_id": "run"})
    tell.send("done")


def die_with_a_new_token(connection_id: str, environment: dict[str, str]) -> None:
    """Refresh, and die with Spotify's answer in hand, before anything of it is stored."""
    from listening.hooks.spotify import SpotifyHook

    from include.ingestion.token_store import TokenStore

    _take_over(environment)
    TokenStore._store = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    SpotifyHook(connection_id).get_conn().me()


def _take_over(environment: dict[str, str]) -> None:
    from airflow.sdk.crypto import get_fernet

    os.environ.update(environment)
    get_fernet.cache_clear()
