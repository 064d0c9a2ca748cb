"""What the analytics make of exports with everything real clients write, against what really happened."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from listening.operators.ingestion import ImportStreamingHistoryOperator

from include.demo.catalog import LocalFile, Track
from include.demo.exports import ExportRow, write_account_data, write_extended_history
from include.demo.listeners import listener_named
from include.demo.listening_history import History, build_history
from tests.support.steps import run_steps

UNTIL = datetime(2026, 9, 1, tzinfo=UTC)
CLOSE_MS = 2_000
SAID = {"trackdone", "fwdbtn", "backbtn", "endplay"}  # ends after which the source says whether it was skipped


class Event(NamedTuple):
    """A play of the analytics. Moments in unix ms; `row` is what identifies the raw row it stands on."""

    row: tuple[Any, ...]
    source: str
    track_id: str
    started_ms: int
    ms_played: int
    skipped: bool | None
    session: int


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells an extended row from others, seconds and milliseconds of its start alike."""
    start = row.get("offline_timestamp")
    start_s = start // 1000 if start and start > 10**11 else start
    names = row["master_metadata_track_name"], row["master_metadata_album_artist_name"]
    return row["ts"], *names, row.get("ms_played"), start_s


@pytest.fixture(scope="module")
def life() -> History:
    return build_history(replace(listener_named("ada"), first_day=date(2026, 5, 1)), until=UNTIL)


@pytest.fixture
def analysed(
    tmp_path: Path, airflow_connections, add_listener, writer_conninfo: str, life: History
) -> Callable[..., list[Event]]:
    """Imports what `write` puts into the listener's folder and builds the plays."""
    add_listener("ada", time_zone="Europe/Berlin")

    def analysed(*writes: Callable[[Path], Any]) -> list[Event]:
        (tmp_path / "ada").mkdir(exist_ok=True)
        for number, write in enumerate(writes):
            write(tmp_path / "ada" / f"export {number}.zip")
        done = ImportStreamingHistoryOperator(task_id="t", exports_path=str(tmp_path)).execute({"run_id": "import"})
        assert done["rows_read"] == done["rows_loaded"] + done["rows_already_known"] + done["rows_skipped"]
        with psycopg.connect(writer_conninfo, autocommit=True) as connection:
            run_steps(connection, as_of=UNTIL.isoformat())
            rows = connection.execute(
                "select r.payload, e.source, e.track_id, (extract(epoch from e.started_at) * 1000)::bigint,"
                " e.ms_played, e.skipped, e.session_id from staging.listening_events e"
                " join raw_listening_events r on r.user_id = e.user_id and r.event_key = e.event_id"
                " order by e.started_at"
            ).fetchall()
        return [
            Event(identity(payload) if source == "extended_history" else (payload["endTime"],), source, *rest)
            for payload, source, *rest in rows
        ]

    return analysed


def music(life: History, rows: list[ExportRow]) -> dict[int, ExportRow]:
    """Place in the life -> its row, of every play that can be known as music from an extended history."""
    return {
        row.play: row
        for row in rows
        if row.play is not None
        and isinstance(life.plays[row.play].item, Track | LocalFile)
        and row.quirk != "nameless"
        and not row.is_video
    }


def without_near_duplicates(events: list[Event], rows: list[ExportRow]) -> list[Event]:
    """Two rows of one play whose start nothing tells are two plays to anyone: in one source real replays survive."""
    near = {identity(row.row) for row in rows if row.quirk == "near_duplicate"}
    return [event for event in events if event.row not in near]


def test_plays_their_places_sessions_and_skips_are_what_happened(analysed, life):
    rows: list[ExportRow] = []
    events = analysed(lambda path: rows.extend(write_extended_history(path, life)))
    events = without_near_duplicates(events, rows)
    truth = music(life, rows)
    play_of = {identity(row.row): place for place, row in truth.items()}

    # Every play is there once, and nothing else.
    stands_for = Counter(play_of.get(event.row) for event in events)
    assert None not in stands_for, [event for event in events if event.row not in play_of][:3]
    # A row of unknown length cannot be placed in time, and is not a play of 0 ms either.
    timed = {place for place, row in truth.items() if row.quirk != "ms_played_missing"}
    assert set(stands_for) >= timed
    assert set(stands_for.values()) == {1}

    # Each play has the time at which it was heard.
    misplaced: dict[str, list[int]] = defaultdict(list)
    for event in events:
        place = play_of[event.row]
        row, play = truth[place], life.plays[place]
        if place in timed and row.quirk != "remote_claim":  # how long a remote-controlled play was on, nobody can know
            misplaced[str(row.quirk)].append(abs(event.started_ms - play.started_ms))
    assert {"late_report", "late_sync", "skewed_clock", "None"} <= set(misplaced)
    for quirk, distances in misplaced.items():
        far = sum(distance > CLOSE_MS for distance in distances)
        # A pause within a play cannot be seen in rows that do not tell its start. A late row whose clock is two seconds
        # off its neighbour's and that touches no other play (0.3 % of them) is mistaken for one with a wrong clock.
        assert far <= 0.01 * len(distances), (quirk, far, len(distances))

    # Skipped if the listener skipped it; what the client ended is never a skip.
    for event in events:
        row, play = truth[play_of[event.row]], life.plays[play_of[event.row]]
        if row.row.get("reason_end") in SAID:
            assert event.skipped == play.skipped, row
        elif not play.skipped:
            long_enough = event.ms_played >= min(240_000, play.item.duration_ms / 2)
            says_why = bool(row.row.get("reason_end"))
            # If the row does not say, the length decides; a short play whose known end is no skip stays unknown.
            assert event.skipped in ((False,) if long_enough else (False, None) if says_why else (False, True)), row

    # The sessions are those that took place, with the same plays.
    found: dict[int, set[int]] = defaultdict(set)
    for event in events:
        found[event.session].add(play_of[event.row])
    lived: dict[int, set[int]] = defaultdict(set)
    for place in stands_for:
        lived[life.plays[place].session].add(place)
    same = sum(plays in found.values() for plays in lived.values())
    print(f"{len(events)} plays, {same} of {len(lived)} sessions exactly as lived, {len(found)} found")
    assert same >= 0.99 * len(lived)


def test_plays_of_an_export_of_2020_come_again_with_uris(analysed, life):
    """The later export is of a month more; the older one's plays count once and have track ids."""
    earlier = build_history(life.listener, until=datetime(2026, 8, 1, tzinfo=UTC))
    rows: list[ExportRow] = []
    events = analysed(
        lambda path: write_extended_history(path, earlier, "endsong_2020"),
        lambda path: rows.extend(write_extended_history(path, life)),
    )
    events = without_near_duplicates(events, rows)
    truth = music(life, rows)
    timed = sum(row.quirk != "ms_played_missing" for row in truth.values())
    on_video = sum(row.is_video for row in rows)  # known as music to the older export alone
    assert timed <= len(events) <= len(truth) + on_video
    named = [event for event in events if event.track_id.startswith("name:")]
    local = sum(isinstance(life.plays[place].item, LocalFile) for place in truth)
    assert local <= len(named) <= local + on_video


def test_an_export_of_2020_alone_has_the_plays_under_their_names(analysed, life):
    rows: list[ExportRow] = []
    events = analysed(lambda path: rows.extend(write_extended_history(path, life, "endsong_2020")))
    events = without_near_duplicates(events, rows)
    timed = {place for place, row in music(life, rows).items() if row.quirk != "ms_played_missing"}
    assert len(timed) <= len(events) <= len(music(life, rows))
    recordings = {life.plays[place].item.recording for place in timed if isinstance(life.plays[place].item, Track)}
    names = {event.track_id for event in events}
    assert len(recordings) <= len(names) <= len(recordings) + 10  # local files


def test_account_data_of_the_same_plays_add_only_what_the_extended_history_could_not_name(analysed, life):
    rows: list[ExportRow] = []
    events = analysed(
        lambda path: rows.extend(write_extended_history(path, life)), lambda path: write_account_data(path, life)
    )
    events = without_near_duplicates(events, rows)
    plays = sum(isinstance(play.item, Track | LocalFile) and play.ms_played > 0 for play in life.plays)
    assert Counter(event.source for event in events)["extended_history"] <= len(music(life, rows))
    assert len(events) == pytest.approx(plays, rel=0.003)
