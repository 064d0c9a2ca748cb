"""Whatever a raw row holds: all steps pass, and what other listeners are told does not change."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from listening.operators.soda import SodaScanOperator

from tests.integration.analytics.raw_rows import AS_OF, BEGIN, account, api, extended, insert, minutes
from tests.integration.quality.conftest import use
from tests.support.steps import run_steps

NAMES = {
    "endless": "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789ÄΩ漢😀", k=2800)),
    "endless in one script": "漢" * 2800,
    "64 KiB": "x" * 65536,
    "control": "a\x01\x1f\x7f\x85b",
    "from right to left": "\u202eabc\u202c",
    "combining": "a" + "\u0301" * 2800,
}
BLANK = ("", " ", "\t\n", "\u200b\u200b", "\u00a0", "\u202e", "\u3164", "\ufeff \u2800")
NUMBERS = itertools.count()
OUTCOMES = ("PASS", "WARN", "FAIL")
SHAPES = {
    "extended": lambda n, **names: extended(BEGIN + minutes(5 * n), f"t{n}", **names),
    "account": lambda n, **names: account(BEGIN + minutes(5 * n), f"t{n}", **names),
    "api": lambda n, **names: api(BEGIN + minutes(5 * n), f"t{n}", **names),
}
TABLES = (
    "listening_events", "excluded_events", "listening_sessions", "artist_days", "artist_totals", "track_days",
    "track_totals", "album_days", "album_totals", "listening_hours", "daily_trends", "analytics_user_metrics",
)  # fmt: skip


def tables_of(connection: psycopg.Connection, user_id: str) -> dict[str, list]:
    return {
        table: sorted(
            row[0] for row in connection.execute(f"select t::text from staging.{table} t where user_id = %s", [user_id])
        )
        for table in TABLES
    }


def scan(layer: str) -> dict:
    return SodaScanOperator(task_id="scan", scan=layer, as_of=AS_OF).execute({"run_id": "test"})


def held(connection: psycopg.Connection) -> list:
    return connection.execute("select * from held_listeners").fetchall()


@pytest.mark.parametrize("shape", SHAPES)
def test_any_name_becomes_one_that_keys_can_hold(connection, shape):
    rows = []
    for n, name in enumerate(NAMES.values()):
        row = SHAPES[shape](n, artist=name, title=name)
        if shape == "extended":
            row["payload"]["master_metadata_album_album_name"] = name
        if shape == "api":
            row["payload"]["track"]["album"]["name"] = name
        rows.append(row)
    insert(connection, rows)
    run_steps(connection, as_of=AS_OF)
    assert held(connection) == []
    names = connection.execute("select distinct artist_name, track_name from staging.listening_events").fetchall()
    expected = {name[:255] for name in NAMES.values()}
    assert set(names) == {(name, name) for name in expected}
    assert connection.execute("select count(*) from staging.album_totals").fetchone()[0] == (
        0 if shape == "account" else len(NAMES)
    )


def test_a_name_that_nobody_sees_is_unknown(connection):
    rows = [extended(BEGIN + minutes(5 * n), f"t{n}", artist=name, title=name) for n, name in enumerate(BLANK)]
    for row, name in zip(rows, BLANK, strict=True):
        row["payload"]["master_metadata_album_artist_name"] = name
        row["payload"]["master_metadata_track_name"] = name
    accounts = [account(BEGIN + minutes(500 + 5 * n), artist=name, title=name) for n, name in enumerate(BLANK)]
    insert(connection, [*rows, *accounts])
    run_steps(connection, as_of=AS_OF)
    names = connection.execute("select artist_name, track_name, count(*) from staging.listening_events group by 1, 2")
    assert names.fetchall() == [("Unknown artist", "Unknown track", len(BLANK))]
    reasons = connection.execute("select reason, count(*) from staging.excluded_events group by 1").fetchall()
    assert reasons == [("missing_track_id", len(BLANK))]


numbers = st.sampled_from(
    ["1e400", "-1e400", "1e-400", "9" * 400, "1e131000", "0.5", "-0", "1784894700000", "1784894700"]
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"))
    | st.sampled_from(["true", "fwdbtn", "infinity", "2026-01-05T10:00:00Z", "spotify:track:a"]),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from("ab"), children, max_size=2),
    max_leaves=4,
)
FIELDS = {
    "extended_history": tuple(extended(BEGIN)["payload"]),
    "account_history": tuple(account(BEGIN)["payload"]),
    "api": ("track", "played_at", "context", "offline", "offline_timestamp", "ms_played", "skipped", "reason_end"),
}
TRACK_FIELDS = ("id", "name", "artists", "album", "duration_ms", "external_ids")


@st.composite
def payloads(draw: st.DrawFn) -> tuple[str, str]:
    """A source and, as text, a row of it in which some values are anything."""
    source = draw(st.sampled_from(sorted(FIELDS)))
    good = {"extended_history": extended, "account_history": account, "api": api}[source](BEGIN)["payload"]
    if draw(st.integers(0, 20)) == 0:
        good = draw(anything)
    elif draw(st.booleans()) and source == "api":
        good["track"][draw(st.sampled_from(TRACK_FIELDS))] = draw(anything)
    else:
        good |= draw(st.dictionaries(st.sampled_from(FIELDS[source]), anything, min_size=1, max_size=4))
        if draw(st.booleans()):  # where offline streams ended is worked out of numbers
            good |= {"offline": True, "offline_timestamp": "#", "ms_played": draw(st.sampled_from(["#", 1000, -1]))}
    return source, json.dumps(good).replace('"#"', draw(numbers))


# Not shrunk: an example takes seconds.
@settings(max_examples=3, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.lists(payloads(), min_size=100, max_size=150), st.randoms(use_true_random=False))
def test_any_payload_passes_all_steps_and_others_tables_come_out_right(
    connection, pg_socket, database, monkeypatch, rows, random
):
    use(monkeypatch, pg_socket, database)
    good = [extended(BEGIN + minutes(5 * n), f"t{n % 7}") for n in range(30)]
    number = next(NUMBERS)
    ada, eve = f"ada {number}", f"eve {number}"
    insert(connection, good, ada)
    run_steps(connection, as_of=AS_OF)
    before = tables_of(connection, ada)

    odd_ids = [None, "a", "b" * 64, "-", " "]
    item_types = ["track", "episode", "audiobook", "video", "local"]
    with connection.transaction():
        for n, (source, payload) in enumerate(rows):
            connection.execute(
                "insert into raw_listening_events"
                " (user_id, source, event_key, played_at, item_type, track_id, payload, run_id)"
                " values (%s, %s, %s, %s, %s, %s, %s::jsonb, 'test')",
                [
                    eve,
                    source,
                    uuid.UUID(int=n),
                    BEGIN + timedelta(minutes=random.choice([n, 3 * n, 5000])),
                    random.choice(item_types),
                    random.choice(odd_ids),
                    payload,
                ],
            )
        connection.execute(
            "insert into pending_days select distinct 'listening_events', user_id, (played_at at time zone 'UTC')::date"
            " from raw_listening_events where user_id = %s",
            [eve],
        )
    assert scan("raw")["outcome"] in OUTCOMES  # it can look at every row, and decides
    run_steps(connection, as_of=AS_OF)
    assert scan("analytics")["outcome"] in OUTCOMES
    assert held(connection) == []
    assert tables_of(connection, ada) == before
    built, excluded = (len(tables_of(connection, eve)[table]) for table in ("listening_events", "excluded_events"))
    assert built + excluded > 0
