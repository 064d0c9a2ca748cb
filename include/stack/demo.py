"""What the demo adds to a stack: simulated days, listeners, and their accounts at the simulated Spotify."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import psycopg

from include.demo.listeners import DEMO_LISTENERS
from include.demo.simulator.client import SimulatorClient
from include.listener_ids import connection_id_of
from include.operations.airflow_client import AirflowClient

DAYS_BEFORE_TODAY = 30
TIME_OF_DAY = time(4, tzinfo=UTC)  # when the DAG's schedule runs it too


def real_time() -> datetime:
    """The real time, UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


class SimulatedClock:
    """The demo's current time: 30 days ago at first, a day later after each run that succeeds, never in the future.

    :param file: stores the first moment and the current one.
    :param present: returns the real time.
    """

    def __init__(self, file: Path, present: Callable[[], datetime] = real_time) -> None:
        self.file = file
        self.present = present
        if not file.exists():
            start = datetime.combine(present().date() - timedelta(days=DAYS_BEFORE_TODAY), TIME_OF_DAY)
            self._write(start, start)

    @property
    def start(self) -> datetime:
        """The first moment; the exports go up to it."""
        return self._read("start")

    @property
    def now(self) -> datetime:
        return min(self._read("now"), self.present())

    def begin_run(self) -> datetime:
        """Return the time of a run that starts now, and go on a minute: two runs of one time would have one id."""
        moment = self.now
        self._write(self.start, moment + timedelta(minutes=1))
        return moment

    def advance(self) -> None:
        """Go on to the next day, because this day's run succeeded."""
        self._write(self.start, datetime.combine(self.now.date() + timedelta(days=1), TIME_OF_DAY))

    def _read(self, name: str) -> datetime:
        return datetime.fromisoformat(json.loads(self.file.read_text())[name])

    def _write(self, start: datetime, now: datetime) -> None:
        unfinished = self.file.with_suffix(".new")
        unfinished.write_text(json.dumps({"start": start.isoformat(), "now": now.isoformat()}))
        unfinished.replace(self.file)


def connection_id(user_id: str) -> str:
    """The id of a demo listener's Airflow connection."""
    return "spotify_default" if user_id == DEMO_LISTENERS[0].user_id else connection_id_of(user_id)


def register_listeners(owner_conninfo: str, authorized_at: datetime) -> None:
    """Insert the demo's listeners with their time zones and consents, as `make authorize` does for real ones.

    Those who are there already stay as they are.
    """
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
    """Create an Airflow connection for each demo listener who has none yet."""
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
