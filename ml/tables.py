"""Reading and writing the tables of schema `staging`: statements from `include/sql/features`, bulk writes through
COPY."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from include.sql.holding import holding
from include.sql.queries import query


class Work(NamedTuple):
    """What a step has to do for one listener.

    :param user_id: whose.
    :param days: local days whose rows changed.
    :param reference_at: end of the listener's last session that had ended by the run's as_of. What is recent is
    measured from
        here and not from the clock, so that a run without news has nothing to change.
    :param reference_day: that session's local day.
    """

    user_id: str
    days: list[date]
    reference_at: datetime
    reference_day: date


def statement(name: str) -> bytes:
    """The text of a query of `include/sql/features`."""
    return query("features", name)


def begin_step(connection: psycopg.Connection, step: str) -> None:
    """Open the step's transaction: two runs of the same step take turns. Settings are those of the analytics steps."""
    connection.execute("select pg_advisory_xact_lock(hashtext(%s))", [f"ml.{step}"])
    connection.execute("set local work_mem = '128MB'")
    connection.execute("set local jit = off")


def take_work(connection: psycopg.Connection, step: str, as_of: datetime) -> list[Work]:
    """Open the step's transaction, take its marks from `pending_days`, and say what they ask for.

    A listener who has no session that ended by `as_of` is left out, and keeps the marks.
    """
    begin_step(connection, step)
    rows = connection.execute(statement("take_work"), {"step": step, "as_of": as_of}).fetchall()
    return [Work(*row) for row in rows]


@contextmanager
def listener_of(connection: psycopg.Connection, step: str, work: Work) -> Iterator[None]:
    """One listener's part of a step: when it fails at their data, it is undone, they are held and keep their marks."""
    with holding(connection, step, work.user_id) as failed:
        yield
    if failed:
        mark_days(connection, step, work.user_id, work.days)


def mark_days(connection: psycopg.Connection, step: str, user_id: str, days: Iterable[date]) -> None:
    """Tell `step` that what it reads has changed on these local days."""
    connection.execute(statement("mark_days"), {"step": step, "user_id": user_id, "days": sorted(set(days))})


def mark_readers(connection: psycopg.Connection, changed_input: str, user_id: str, day: date) -> None:
    """Tell every step that reads this input (view staging.step_inputs) that it has changed on a local day."""
    connection.execute(statement("mark_readers"), {"user_id": user_id, "day": day, "changed_input": changed_input})


def refresh_statistics(connection: psycopg.Connection, table: str, changed: int) -> None:
    """Analyze `staging.<table>` if `changed` rows are a good part of it: the next step plans with what there is now."""
    connection.execute("select staging.refresh_statistics(%s, %s)", [table, changed])


def ask(connection: psycopg.Connection, name: str, user_id: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of a statement of `include/sql/features` about one listener."""
    return connection.execute(statement(name), {"user_id": user_id, **parameters}).fetchall()


def fetch(connection: psycopg.Connection, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All rows of a statement of `include/sql/features`, as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement(name), parameters).fetchall()


@contextmanager
def no_cycles() -> Iterator[None]:
    """For code that makes many objects and no reference cycles: without it the garbage collector looks through all rows
    read so far again and again, which takes a fifth of the time of reading them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def columns(cursor: psycopg.Cursor[Any]) -> list[tuple[Any, ...]]:
    """All rows of a query, as one tuple a column."""
    rows = cursor.fetchall()
    return list(zip(*rows, strict=True)) or [()] * len(cursor.description or ())


def replace_rows(
    connection: psycopg.Connection,
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    scope: Mapping[str, Any],
    condition: LiteralString = "true",
    **parameters: Any,
) -> dict[str, int]:
    """Make `rows` the content of `staging.<table>` within `scope`, touching only rows that differ.

    :param key: the table's primary key.
    :param columns: every column, in the order of the values in `rows`.
    :param scope: column → value; a list means any of its values. Rows of the scope that are not in `rows` are deleted.
    :param condition: narrows the scope further: SQL over the row `t`, with `parameters` bound by name.
    :return: rows `written` and `removed`.
    """
    target, incoming = sql.Identifier("staging", table), sql.Identifier(f"incoming_{table}")

    def names(prefix: str, chosen: Sequence[str]) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(*filter(None, (prefix, column))) for column in chosen)

    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("create temp table {} (like {} including defaults) on commit drop").format(incoming, target)
        )
        copy_rows = sql.SQL("copy {} ({}) from stdin (format binary)").format(incoming, names("", columns))
        cursor.execute(sql.SQL("select {} from {} limit 0").format(names("", columns), incoming))
        types = [column.type_code for column in cursor.description or ()]
        with cursor.copy(copy_rows) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)
        cursor.execute(sql.SQL("analyze {}").format(incoming))
        in_scope = sql.SQL(" and ").join(
            sql.SQL("t.{} = any({})" if isinstance(value, list) else "t.{} = {}").format(
                sql.Identifier(column), sql.Placeholder(column)
            )
            for column, value in scope.items()
        )
        cursor.execute(
            sql.SQL("delete from {} t where {} and {} and not exists (select from {} i where ({}) = ({}))").format(
                target, in_scope, sql.SQL(condition), incoming, names("i", key), names("t", key)
            ),
            {**scope, **parameters},
        )
        removed = cursor.rowcount
        same_key = sql.SQL("({}) = ({})").format(names("i", key), names("t", key))
        values = [column for column in columns if column not in key]
        cursor.execute(
            sql.SQL("delete from {} i using {} t where {} and ({}) is not distinct from ({})").format(
                incoming, target, same_key, names("i", values), names("t", values)
            )
        )
        cursor.execute(sql.SQL("delete from {} t using {} i where {}").format(target, incoming, same_key))
        # What is left is added without a look at what is there, so that filling an empty table can go without indexes.
        cursor.execute(sql.SQL("select staging.begin_fill(%s, (select count(*) from {}))").format(incoming), [table])
        cursor.execute(
            sql.SQL("insert into {} ({columns}) select {columns} from {}").format(
                target, incoming, columns=names("", columns)
            )
        )
        written = cursor.rowcount
        cursor.execute("select staging.end_fill(%s)", [table])
        cursor.execute(sql.SQL("drop table {}").format(incoming))
        refresh_statistics(connection, table, removed + written)
    return {"written": written, "removed": removed}
