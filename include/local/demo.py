"""The demo's world: its days, its listeners and their accounts at the simulated Spotify."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import httpx
import psycopg

from include.demo.listeners import DEMO_LISTENERS
from include.local.airflow_client import AirflowClient

DAYS_BEFORE_TODAY = 30
TIME_OF_DAY = time(4, tzinfo=UTC)  # as the DAG's schedule
SCOPE = "user-read-recently-played playlist-modify-private playlist-read-private"


class SimulatedClock:
    """The day the demo is in: 30 days ago at first, a day later after each run that succeeded, never in the future.

    :param file: remembers the first day and the current one.
    """

    def __init__(self, file: Path, today: datetime | None = None) -> None:
        self.file = file
        self.today = today or datetime.now(UTC)
        if not file.exists():
            start = datetime.combine(self.today.date() - timedelta(days=DAYS_BEFORE_TODAY), TIME_OF_DAY)
            self._write(start, start)

    @property
    def start(self) -> datetime:
        """What the exports end with."""
        return self._read("start")

    @property
    def now(self) -> datetime:
        return min(self._read("now"), self.today.replace(microsecond=0))

    def advance(self) -> None:
        self._write(self.start, min(self.now + timedelta(days=1), self.today.replace(microsecond=0)))

    def _read(self, name: str) -> datetime:
        return datetime.fromisoformat(json.loads(self.file.read_text())[name])

    def _write(self, start: datetime, now: datetime) -> None:
        unfinished = self.file.with_suffix(".new")
        unfinished.write_text(json.dumps({"start": start.isoformat(), "now": now.isoformat()}))
        unfinished.replace(self.file)


class SimulatorControl:
    """The simulator's control endpoint.

    :param address: where the simulator listens, without a path.
    :raises httpx.HTTPStatusError: from every method, when the simulator refuses.
    """

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=f"{address}/control", timeout=60, trust_env=False)

    def is_up(self) -> bool:
        try:
            return self.http.get("/clock").is_success
        except httpx.HTTPError:
            return False

    def set_clock(self, now: datetime) -> None:
        self.http.post("/clock", json={"now": now.isoformat()}).raise_for_status()

    def refresh_token(self, user_id: str) -> str:
        answer = self.http.get(f"/refresh-token/{user_id}")
        answer.raise_for_status()
        return answer.json()["refresh_token"]


def connection_id(user_id: str) -> str:
    return "spotify_default" if user_id == DEMO_LISTENERS[0].user_id else f"spotify_{user_id}"


def register_listeners(owner_conninfo: str, authorized_at: datetime) -> None:
    """The demo listeners, their time zones and consents, as `make authorize` registers real ones. Again: no change."""
    with psycopg.connect(owner_conninfo) as connection:
        for listener in DEMO_LISTENERS:
            connection.execute(
                "insert into listeners (user_id, display_name, time_zone, connection_id, authorized_at, shares_history,"
                " publishes_playlists) values (%s, %s, %s, %s, %s, true, true) on conflict do nothing",
                [
                    listener.user_id,
                    listener.display_name,
                    listener.time_zone,
                    connection_id(listener.user_id),
                    authorized_at,
                ],
            )
            for since, time_zone, _country in listener.zones:
                connection.execute(
                    "insert into listener_time_zones (user_id, valid_from, time_zone) values (%s, %s, %s)"
                    " on conflict do nothing",
                    [listener.user_id, since, time_zone],
                )


def authorize_accounts(airflow: AirflowClient, simulator: SimulatorControl, authorized_at: datetime) -> None:
    """A connection for each demo listener who has none yet."""
    existing = {connection["connection_id"] for connection in airflow.connections()}
    for listener in DEMO_LISTENERS:
        if connection_id(listener.user_id) in existing:
            continue
        extra = {
            "refresh_token": simulator.refresh_token(listener.user_id),
            "authorized_at": authorized_at.isoformat(),
            "scope": SCOPE,
            "user_id": listener.user_id,
        }
        airflow.put_connection(
            connection_id(listener.user_id),
            conn_type="spotify",
            description=f"{listener.display_name}, at the simulated Spotify",
            login="demo-client",
            password="demo-client-secret",
            extra=json.dumps(extra),
        )
