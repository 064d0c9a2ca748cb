"""The simulated Spotify over HTTP, and real operators on a fresh database with nothing of Airflow but connections."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet

from include.demo.simulator.client import SimulatorClient
from include.demo.simulator.server import simulator_server
from include.demo.simulator.simulated_spotify import CLIENT_ID, CLIENT_SECRET

NOW = datetime(2026, 10, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def fernet_key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def airflow_connections(
    monkeypatch: pytest.MonkeyPatch, pg_socket: Any, database: str, fernet_key: str
) -> Callable[..., None]:
    """Puts `listening_db` into the environment; called, it adds an account's connection."""
    from airflow.sdk.crypto import get_fernet

    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", fernet_key)
    monkeypatch.setenv(
        "AIRFLOW_CONN_LISTENING_DB",
        json.dumps({"conn_type": "postgres", "host": str(pg_socket), "login": "listening_writer", "schema": database}),
    )
    get_fernet.cache_clear()

    def add(connection_id: str, extra: dict[str, Any], client_secret: str = CLIENT_SECRET) -> None:
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{connection_id.upper()}",
            json.dumps({"conn_type": "spotify", "login": CLIENT_ID, "password": client_secret, "extra": extra}),
        )

    return add


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[SimulatorClient]:
    """One simulated Spotify for many tests, its lives told already: the first look at one takes seconds."""
    with simulator_server(now=NOW.isoformat()) as simulator:
        for user_id in ("ada", "bea"):
            simulator.truth(user_id, NOW - timedelta(days=1))
        yield simulator


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch, shared_simulator: SimulatorClient) -> SimulatorClient:
    """The shared one, at the beginning again: clock, faults, limits, counted calls. Its playlists stay."""
    shared_simulator.set_clock(NOW)
    shared_simulator.clear_faults()
    shared_simulator.rotate_refresh_tokens(0)
    shared_simulator.set_limits()
    shared_simulator.forget_calls()
    point_at(monkeypatch, shared_simulator)
    return shared_simulator


def point_at(monkeypatch: pytest.MonkeyPatch, simulator: SimulatorClient) -> None:
    monkeypatch.setenv("SPOTIFY_API_URL", simulator.api_url)
    monkeypatch.setenv("SPOTIFY_ACCOUNTS_URL", simulator.url)
    monkeypatch.setenv("RECCOBEATS_URL", simulator.reccobeats_url)


@pytest.fixture
def add_listener(connection: psycopg.Connection) -> Callable[..., None]:
    def add(user_id: str, **columns: Any) -> None:
        columns = {"display_name": user_id.title(), **columns}
        connection.execute(
            psycopg.sql.SQL("insert into listeners (user_id, {}) values ({})").format(
                psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, columns)),
                psycopg.sql.SQL(", ").join([psycopg.sql.Placeholder()] * (len(columns) + 1)),
            ),
            [user_id, *columns.values()],
        )
        connection.commit()

    return add


@pytest.fixture
def authorize(
    simulator: SimulatorClient, airflow_connections: Callable[..., None], add_listener: Callable[..., None]
) -> Callable[..., dict[str, str]]:
    """An authorized account of a demo listener, as `make authorize` leaves it; returns list_accounts' item."""

    def authorize(user_id: str, **token: Any) -> dict[str, str]:
        granted = simulator.refresh_token(user_id, **token)
        connection_id = f"spotify_{user_id}"
        airflow_connections(
            connection_id, {name: granted[name] for name in ("refresh_token", "authorized_at", "scope", "user_id")}
        )
        add_listener(user_id, connection_id=connection_id)
        return {"user_id": user_id, "connection_id": connection_id}

    return authorize
