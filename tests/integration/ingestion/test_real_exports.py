"""What real clients write, through importer and steps: each play counts once, where it was heard, as what it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from listening.operators.ingestion import ImportStreamingHistoryOperator

from tests.support.steps import run_step

AS_OF = "2026-11-25T00:00:00+00:00"
TRACK = "1111111111111111111111"
OTHER = "2222222222222222222222"


def row(ts: str, track: str | None = TRACK, **fields) -> dict:
    """A row of the extended history; of 2020, without a column of URIs, when `track` is None."""
    song = {TRACK: "Invented Song", OTHER: "Second Song", None: "Invented Song"}[track]
    return {
        "ts": ts,
        "platform": "android",
        "ms_played": 200_000,
        "conn_country": "ZZ",
        "master_metadata_track_name": song,
        "master_metadata_album_artist_name": "Invented Artist",
        "master_metadata_album_album_name": "Invented Album",
        **({} if track is None else {"spotify_track_uri": f"spotify:track:{track}"}),
        "reason_start": "trackdone",
        "reason_end": "trackdone",
        "shuffle": False,
        "skipped": False,
        "offline": False,
        "offline_timestamp": None,
        "incognito_mode": False,
    } | fields


def account(end: str, ms: int, title: str = "Invented Song") -> dict:
    return {"endTime": end, "artistName": "Invented Artist", "trackName": title, "msPlayed": ms}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def clock(text: str, unit: int = 1) -> int:
    return int(moment(text).timestamp()) * unit


@pytest.fixture
def build(tmp_path, airflow_connections, add_listener, connection):
    """Imports rows as one export after the other and builds plays; returns what each export's import counted."""
    add_listener("ada")

    def build(*exports: list[dict]) -> list[dict]:
        counted = []
        for number, rows in enumerate(exports):
            name = "StreamingHistory_music_0.json" if "endTime" in rows[0] else "Streaming_History_Audio_2024.json"
            folder = tmp_path / "exports" / "ada" / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(json.dumps(rows))
            operator = ImportStreamingHistoryOperator(
                task_id="import_streaming_history", exports_path=str(tmp_path / "exports")
            )
            counted.append(operator.execute({"run_id": "run"}))
            run_step(connection, "listening_events", as_of=AS_OF)
            run_step(connection, "sessions", as_of=AS_OF)
            connection.commit()
        return counted

    return build


@pytest.fixture
def query(connection):
    def query(text: str) -> list[tuple]:
        found = connection.execute(text).fetchall()
        connection.rollback()
        return found

    return query


def ended(query) -> list[datetime]:
    return [
        moment for (moment,) in query("select played_at from staging.listening_events order by played_at, event_id")
    ]


def skipped(query) -> list[bool | None]:
    return [value for (value,) in query("select skipped from staging.listening_events order by played_at, event_id")]


EXCLUDED = "select reason from staging.excluded_events order by reason"


@pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
def test_an_online_play_reported_late_stands_where_it_was_heard(build, query, unit):
    build(
        [
            row("2024-03-04T10:00:00Z", offline_timestamp=clock("2024-03-04T09:56:40", unit)),
            row(
                "2024-03-04T22:00:00Z", OTHER, ms_played=30_000, reason_end="logout",
                offline_timestamp=clock("2024-03-04T10:00:00", unit),
            ),
        ]
    )  # fmt: skip
    assert query("select started_at from staging.listening_events order by started_at") == [
        (moment("2024-03-04T09:56:40"),),
        (moment("2024-03-04T10:00:00"),),
    ]
    assert query("select plays from staging.listening_sessions") == [(2,)]


@pytest.mark.parametrize(
    "began",
    [
        clock("2024-03-04T10:00:00"),  # would end after its report
        clock("2024-01-01T00:00:00"),  # more than 31 days before it: no device stays offline that long
        0,
        1,
        None,
        -5,
        4_000_000_000,
        10**300,
        1.5,
    ],
)
def test_a_clock_that_cannot_be_right_is_not_believed(build, query, began):
    build([row("2024-03-04T10:00:00Z", offline_timestamp=began, offline=True)])
    assert ended(query) == [moment("2024-03-04T10:00:00")]


def test_a_clock_that_contradicts_more_neighbours_than_it_agrees_with_is_not_believed(build, query):
    start = moment("2024-03-04T09:00:00")
    played = [
        row(
            (start + timedelta(seconds=200 * (n + 1))).isoformat(),
            offline_timestamp=int((start + timedelta(seconds=200 * n)).timestamp()),
        )
        for n in range(4)
    ]
    skewed = row("2024-03-04T18:00:00Z", OTHER, offline_timestamp=clock("2024-03-04T09:05:00"))
    build([*played, skewed])
    assert ended(query)[-1] == moment("2024-03-04T18:00:00")


def test_a_late_play_in_the_silence_of_its_neighbours_is_placed(build, query):
    build(
        [
            row("2024-03-04T10:00:00Z", offline_timestamp=clock("2024-03-04T09:56:40")),
            row("2024-03-04T18:00:00Z", OTHER, offline_timestamp=clock("2024-03-04T10:10:00")),
        ]
    )
    assert ended(query)[-1] == moment("2024-03-04T10:13:20")


def test_two_offline_plays_of_one_sync_count_twice_also_across_exports(build, query):
    def export(unit):
        return [
            row("2018-07-30T19:37:29Z", ms_played=210_937, offline=True, offline_timestamp=began // (1000 // unit))
            for began in (1532891138368, 1532912409173)
        ]

    older, newer = build(export(1000), export(1))
    assert (older["rows_loaded"], newer["rows_loaded"], newer["rows_already_known"]) == (2, 0, 2)
    assert [f"{end:%m-%dT%H:%M:%S}" for end in ended(query)] == ["07-29T19:09:09", "07-30T01:03:40"]


@pytest.mark.parametrize("seconds_apart", [1, 30, 250, 7200])
def test_a_play_logged_twice_counts_once(build, query, seconds_apart):
    reported = moment("2024-03-04T09:18:05")
    build(
        [
            row(
                (reported + timedelta(seconds=late)).isoformat(), ms_played=222_933, offline_timestamp=1709543662452
            )
            for late in (0, seconds_apart)
        ]
    )  # fmt: skip
    assert query("select count(*), sum(ms_played) from staging.listening_events") == [(1, 222_933)]
    assert query(EXCLUDED) == [("logged_twice",)]


def test_a_replay_of_the_same_length_counts_twice(build, query):
    build(
        [
            row("2024-03-04T10:00:00Z", offline_timestamp=clock("2024-03-04T09:56:40")),
            row("2024-03-04T10:03:20Z", offline_timestamp=clock("2024-03-04T10:00:00")),
            row("2024-03-04T10:06:40Z"),
        ]
    )
    assert len(ended(query)) == 3


PLACES = {"city": "Springfield", "region": "ZZ", "metro_code": 1, "longitude": 12, "latitude": 34}
OF_2020 = row("2019-09-11T22:15:50Z", None, offline_timestamp=1568239965000, ms_played=185_200, **PLACES)
OF_2023 = row("2019-09-11T22:15:50Z", offline_timestamp=1568239965, ms_played=185_200)


@pytest.mark.parametrize("clocks", [True, False])
@pytest.mark.parametrize("order", [(OF_2020, OF_2023), (OF_2023, OF_2020)], ids=["2020 first", "2023 first"])
def test_an_export_of_2020_tells_of_the_same_plays(build, query, order, clocks):
    build(*([line if clocks else line | {"offline_timestamp": None}] for line in order))
    assert query("select track_id, ms_played from staging.listening_events") == [(TRACK, 185_200)]
    assert query(EXCLUDED) == [("logged_twice",)]
    assert query("select x.kept_event_id = e.event_id from staging.excluded_events x, staging.listening_events e") == [
        (True,)
    ]


@pytest.mark.parametrize("order", [0, 1])
def test_names_of_an_export_of_2020_mean_tracks(build, query, order):
    exports = [[OF_2020], [row("2024-05-01T10:00:00Z")]]
    build(*(exports if order else reversed(exports)))
    assert query("select track_id, known_by_name from staging.listening_events order by played_at") == [
        (TRACK, True),
        (TRACK, False),
    ]
    assert query("select item_type from raw_listening_events") == [("track",), ("track",)]


def test_where_somebody_was_is_not_stored(build, query):
    build([OF_2020])
    (payload,) = query("select payload from raw_listening_events")[0]
    assert payload.keys() & PLACES.keys() == set()


def test_local_files_stay_local(build, query):
    build([row("2024-05-01T10:00:00Z") | {"spotify_track_uri": None}])
    assert query("select item_type from raw_listening_events") == [("local",)]


def test_rows_of_nothing_are_counted(build, query):
    (counted,) = build([dict.fromkeys(OF_2023, None) | {"ts": "2024-05-01T10:00:00Z"}, row("2024-05-01T11:00:00Z")])
    assert counted["rows_skipped"] == 1
    assert counted["rows_loaded"] == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"skipped": True, "reason_end": "trackdone"}, True),
        ({"skipped": False, "reason_end": "endplay"}, False),
        ({"skipped": None, "reason_end": "endplay"}, True),
        ({"skipped": False, "reason_end": "fwdbtn"}, True),
        ({"skipped": False, "reason_end": "unknown"}, True),
        ({"skipped": None, "reason_end": "trackdone", "ms_played": 1}, False),
        ({"skipped": False, "reason_end": "logout"}, False),
        ({"skipped": False, "reason_end": "logout", "ms_played": 20_000}, None),
        ({"skipped": None, "reason_end": None, "ms_played": 20_000}, True),
        ({"skipped": None, "reason_end": None, "ms_played": 31_000}, False),
        ({"skipped": None, "reason_end": None, "ms_played": None}, None),
    ],
)
def test_what_the_source_says_of_a_play(build, query, fields, expected):
    build([row("2024-05-01T10:00:00Z", **fields)])
    assert skipped(query) == [expected]


def test_account_data_are_judged_by_the_longest_play_whenever_it_arrives(build, query):
    build([account("2024-05-01 10:00", 90_000), account("2024-05-01 11:00", 29_000)])
    assert skipped(query) == [False, True]
    build(
        [account("2024-05-01 10:00", 90_000), account("2024-05-01 11:00", 29_000), account("2024-06-01 12:00", 200_000)]
    )
    assert skipped(query) == [True, True, False]


def test_a_length_that_becomes_known_judges_again(build, query, connection):
    build([account("2024-05-01 10:00", 90_000), account("2024-05-01 12:00", 70_000)], [row("2024-06-01T10:00:00Z")])
    assert skipped(query) == [True, True, False]
    connection.execute(
        "insert into tracks (track_id, track_name, artist_name, duration_ms, payload)"
        " values (%s, 't', 'a', 170000, '{}')",
        [TRACK],
    )
    connection.commit()
    run_step(connection, "listening_events", as_of=AS_OF)
    connection.commit()
    assert skipped(query) == [False, True, False]


def test_the_longest_play_lasts_four_minutes_at_most(build, query):
    build(
        [
            account("2024-05-01 10:00", 240_000),
            account("2024-05-01 12:00", 239_999),
            account("2024-06-01 12:00", 3_600_000),
        ]
    )
    assert skipped(query) == [False, True, False]
