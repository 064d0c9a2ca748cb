"""A listener whose data cannot be processed does not stop a step for the others.

A step processes all listeners at once. If the database rejects some of their data, the step is rolled back and repeated
listener by listener, each in a transaction of its own. A listener for whom it fails again is held (table
held_listeners): their marks stay, later steps skip them, and nothing of theirs is published. Each run tries a held
listener again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

# Errors that data can cause. A lost connection, a lock, a timeout, a full disk or a wrong statement is not among them.
DATA_ERRORS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
    psycopg.errors.RaiseException,
)
OTHER_ERRORS = (psycopg.Error, MemoryError)  # apart from those above

log = logging.getLogger(__name__)


def run_for_everyone(connection: psycopg.Connection, step: str, run: Callable[[], None]) -> None:
    """Run a step in one transaction or, if a listener's data makes it fail, in one for each listener.

    :param connection: has no transaction open.
    :param step: its name in pending_days.
    :param run: executes the step's statements; they take marks from takeable_days.
    """
    with connection.transaction():
        held = connection.execute("select from held_listeners where step = %s limit 1", [step]).fetchone()
    if held is None:
        try:
            with connection.transaction():
                run()
            return
        except DATA_ERRORS as error:
            log.warning("%s: %s. Repeating it listener by listener.", step, _first_line(error))
    with connection.transaction():
        listeners = connection.execute(
            "select user_id from takeable_days where step = %(step)s"
            " union select user_id from held_listeners where step = %(step)s"
            # the only step that also processes listeners without marks
            " union select user_id from staging.analytics_user_metrics where %(step)s = 'user_metrics'"
            " order by user_id",
            {"step": step},
        ).fetchall()
    for (user_id,) in listeners:
        try:
            with connection.transaction():
                connection.execute("select set_config('listening.listener', %s, true)", [user_id])
                run()
                _release(connection, step, user_id)
        except DATA_ERRORS as error:
            with connection.transaction():
                _hold(connection, step, user_id, error)


@contextmanager
def holding(connection: psycopg.Connection, step: str, user_id: str) -> Iterator[list[BaseException]]:
    """Wraps one listener's part of a step that processes its listeners one by one in a single transaction.

    If the body fails because of the listener's data, it is rolled back, the listener is held, and the error is in the
    list that the body was given. The caller has to mark again what it took. An error that no data causes is raised.
    """
    failed: list[BaseException] = []
    try:
        with connection.transaction():
            yield failed
            _release(connection, step, user_id)
    except DATA_ERRORS as error:
        failed.append(error)
    except OTHER_ERRORS:
        raise
    except Exception as error:
        log.warning("%s, %s", step, user_id, exc_info=True)
        failed.append(error)
    if failed:
        _hold(connection, step, user_id, failed[0])


def held_listeners(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """User id, step and error message of everyone who is held."""
    return connection.execute("select user_id, step, message from held_listeners order by 1, 2").fetchall()


def _hold(connection: psycopg.Connection, step: str, user_id: str, error: BaseException) -> None:
    message = _first_line(error)
    log.error("%s: %s is held: %s", step, user_id, message)
    connection.execute(
        "insert into held_listeners as h (user_id, step, message) values (%s, %s, %s)"
        " on conflict (user_id, step) do update set message = excluded.message, tried_at = now()",
        [user_id, step, message],
    )


def _release(connection: psycopg.Connection, step: str, user_id: str) -> None:
    released = connection.execute(
        "delete from held_listeners where user_id = %s and step = %s", [user_id, step]
    ).rowcount
    if released:
        log.info("%s: %s is no longer held", step, user_id)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


def run_statements(
    connection: psycopg.Connection, step: str, statements: Sequence[str], parameters: Mapping[str, Any]
) -> None:
    """Run a step's statements, all with these parameters, as run_for_everyone() does."""

    def run() -> None:
        for statement in statements:
            connection.execute(statement, parameters)

    run_for_everyone(connection, step, run)
