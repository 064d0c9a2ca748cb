"""Prints what the listening database holds after a run: rows, personas, the newest playlist, failed checks."""

from __future__ import annotations

import shutil

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from rich import box
from rich.console import Console
from rich.table import Table

TRACKS_SHOWN = 10
WIDTH = 140  # at most; on a terminal, what it has


def print_data_summary(owner_conninfo: str, console: Console | None = None) -> None:
    """Print tables of the rows, the personas, the newest playlist and the newest checks."""
    console = console or Console(width=min(shutil.get_terminal_size((WIDTH, 40)).columns, WIDTH), highlight=False)
    with psycopg.connect(owner_conninfo, row_factory=dict_row) as connection:
        for table in (_rows(connection), _personas(connection), _playlist(connection), _checks(connection)):
            if table.row_count:
                console.print(table)
                console.print()


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column)
    return table


def _rows(connection: psycopg.Connection[DictRow]) -> Table:
    listeners = [row["user_id"] for row in connection.execute("select user_id from listeners order by user_id")]
    table = _table("Rows", "table")
    for listener in listeners:
        table.add_column(listener, justify="right")

    def add(name: str, counts: dict[str, int]) -> None:
        table.add_row(name, *(f"{counts.get(listener, 0):,}" for listener in listeners))

    sources = connection.execute("select distinct source from raw_listening_events order by source").fetchall()
    for source in (row["source"] for row in sources):
        count = sql.SQL("select user_id, count(*) as n from raw_listening_events where source = {} group by 1")
        add(f"raw_listening_events ({source})", _counts(connection, count.format(sql.Literal(source))))
    published = connection.execute(
        "select published_schema, table_name from staging.published_tables order by published_schema, table_name"
    ).fetchall()
    for row in published:
        count = sql.SQL("select user_id, count(*) as n from {} group by 1")
        name = sql.Identifier(row["published_schema"], row["table_name"])
        add(f"{row['published_schema']}.{row['table_name']}", _counts(connection, count.format(name)))
    return table


def _counts(connection: psycopg.Connection[DictRow], query: sql.Composed) -> dict[str, int]:
    return {row["user_id"]: row["n"] for row in connection.execute(query)}


def _personas(connection: psycopg.Connection[DictRow]) -> Table:
    table = _table("Personas", "listener", "persona", "of their time", "why")
    personas = connection.execute(
        "select user_id, label, share_of_time, explanation from ml.personas where is_active"
        " order by user_id, share_of_time desc"
    )
    for row in personas:
        table.add_row(row["user_id"], row["label"], f"{row['share_of_time']:.0%}", row["explanation"])
    return table


def _playlist(connection: psycopg.Connection[DictRow]) -> Table:
    """The newest playlist, of the listener who plays most."""
    playlist = connection.execute(
        "select p.user_id, p.playlist_id, p.name, p.description, p.tracks from ml.playlists p"
        " join ml.personas using (user_id, persona_id)"
        " left join analytics.analytics_user_metrics m using (user_id)"
        " order by p.as_of desc, m.plays desc nulls last, recent_share_of_time desc limit 1"
    ).fetchone()
    if playlist is None:
        return _table("")
    shown = min(TRACKS_SHOWN, playlist["tracks"])
    title = f"{playlist['name']}, for {playlist['user_id']} ({shown} of {playlist['tracks']} tracks)"
    table = _table(title, "", "track", "artist", "reason")
    tracks = connection.execute(
        "select position, track_name, artist_name, reason from ml.playlist_tracks"
        " where user_id = %s and playlist_id = %s order by position limit %s",
        [playlist["user_id"], playlist["playlist_id"], TRACKS_SHOWN],
    )
    for row in tracks:
        table.add_row(str(row["position"]), row["track_name"], row["artist_name"], row["reason"])
    return table


def _checks(connection: psycopg.Connection[DictRow]) -> Table:
    """The newest run's checks: counts, and each one that did not pass."""
    table = _table("Checks of the newest run", "scan", "outcome", "", "measured")
    newest = "run_id = (select run_id from qa_validation_results order by checked_at desc limit 1)"
    counts = connection.execute(
        f"select scan, outcome, count(*) as n from qa_validation_results where {newest}"  # noqa: S608
        " group by 1, 2 order by min(checked_at), 2"
    )
    for row in counts:
        table.add_row(row["scan"], row["outcome"], f"{row['n']} checks", "")
    rest = connection.execute(
        "select scan, outcome, table_name, check_name, measured_value from qa_validation_results"  # noqa: S608
        f" where {newest} and outcome <> 'PASS' order by checked_at"
    )
    for row in rest:
        value = "" if row["measured_value"] is None else f"{row['measured_value']:g}"
        table.add_row(row["scan"], row["outcome"], f"{row['table_name']}: {row['check_name']}", value)
    return table
