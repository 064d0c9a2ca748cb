"""The demo's world: its days, its listeners and their accounts at the simulated Spotify."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import psycopg

from include.demo.client import SimulatorClient
from include.demo.listeners import DEMO_LISTENERS
from include.listener_ids import connection_id_of
from include.stack.local.airflow_client import AirflowClient

DAYS_BEFORE_TODAY = 30
TIME_OF_DAY = time(4, tzinfo=UTC)  # as the DAG's schedule


def real_time() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class SimulatedClock:
    """The moment the demo is in: 30 days ago at first, a day later after each run that succeeded, never in the future.

    :param file: remembers the first moment and the next one.
    :param present: tells the real time.
    """

    def __init__(self, file: Path, present: Callable[[], datetime] = real_time) -> None:
        self.file = file
        self.present = present
        if not file.exists():
            start = datetime.combine(present().date() - timedelta(days=DAYS_BEFORE_TODAY), TIME_OF_DAY)
            self._write(start, start)

    @property
    def start(self) -> datetime:
        """What the exports end with."""
        return self._read("start")

    @property
    def now(self) -> datetime:
        return min(self._read("now"), self.present())

    def begin_run(self) -> datetime:
        """The moment of a run that begins. The next is a minute later: two runs of one moment would have one name."""
        moment = self.now
        self._write(self.start, moment + timedelta(minutes=1))
        return moment

    def advance(self) -> None:
        """The day's run succeeded: go on to the next day."""
        self._write(self.start, datetime.combine(self.now.date() + timedelta(days=1), TIME_OF_DAY))

    def _read(self, name: str) -> datetime:
        return datetime.fromisoformat(json.loads(self.file.read_text())[name])

    def _write(self, start: datetime, now: datetime) -> None:
        unfinished = self.file.with_suffix(".new")
        unfinished.write_text(json.dumps({"start": start.isoformat(), "now": now.isoformat()}))
        unfinished.replace(self.file)


def connection_id(user_id: str) -> str:
    return "spotify_default" if user_id == DEMO_LISTENERS[0].user_id else connection_id_of(user_id)


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


def authorize_accounts(airflow: AirflowClient, simulator: SimulatorClient, authorized_at: datetime) -> None:
    """A connection for each demo listener who has none yet."""
    existing = {connection["connection_id"] for connection in airflow.connections()}
    for listener in DEMO_LISTENERS:
        if connection_id(listener.user_id) in existing:
            continue
        authorization = simulator.refresh_token(listener.user_id, authorized_at=authorized_at)
        airflow.put_connection(
            connection_id(listener.user_id),
            conn_type="spotify",
            description=f"{listener.display_name}, at the simulated Spotify",
            login=authorization.pop("client_id"),
            password=authorization.pop("client_secret"),
            extra=json.dumps(authorization),
        )
