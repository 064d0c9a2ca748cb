"""Operators of the steps that build tables for all listeners."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.listening_db import LISTENING_DB, connect
from include.pipeline import parse_time
from listening.links import PERSONAS, PLAYLISTS
from listening.operators.base import ListeningDbOperator
from ml import STEPS

if TYPE_CHECKING:
    from airflow.sdk import Context


class BuildStepOperator(SQLExecuteQueryOperator):
    """Executes a step's SQL file in one transaction. Returns nothing.

    If a listener's data makes it fail, it is done again listener by listener, that listener is held and the task
    succeeds: see include/sql/holding.py.

    :param step: the step's name in pending_days.
    :param sql: the file, as SQLExecuteQueryOperator takes it. (templated)
    :param parameters: bound to each statement. (templated)
    """

    def __init__(self, *, step: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step

    def execute(self, context: Context) -> None:
        from include.sql.holding import run_statements

        statements = self.get_db_hook().split_sql_string(cast("str", self.sql))
        with connect(self.conn_id or LISTENING_DB) as connection:
            run_statements(connection, self.step, statements, dict(self.parameters or {}))


def run_model_step(step: str, as_of: str) -> dict[str, Any]:
    """Run a step of `ml.STEPS` on the listening database; return its counts.

    :param as_of: the run's time, ISO 8601; UTC when it has no offset.
    """
    build: Callable[..., dict[str, Any]] = getattr(import_module(STEPS[step]), step)
    with connect() as connection:
        return build(connection, as_of=parse_time(as_of))


class ModelStepOperator(PythonOperator):
    """A step of `ml.STEPS`. Returns its counts.

    :param step: its name there.
    :param as_of: the run's time, ISO 8601. (templated)
    """

    operator_extra_links = (PERSONAS, PLAYLISTS)

    def __init__(self, *, step: str, as_of: str, **kwargs: Any) -> None:
        super().__init__(python_callable=run_model_step, op_kwargs={"step": step, "as_of": as_of}, **kwargs)


class ListenersHeldOperator(ListeningDbOperator):
    """Fails the run, after the rest of it was published, because a listener is held; skipped if nobody is.

    :raises AirflowFailException: names listener, step and error.
    """

    ui_color = "#f4c7c3"

    def execute(self, context: Context) -> None:
        from include.sql.holding import held_listeners

        with self.connect() as connection:
            held = held_listeners(connection)
        if not held:
            raise AirflowSkipException("No listener is held.")
        listeners = "; ".join(f"{user_id} at {step}: {message}" for user_id, step, message in held)
        raise AirflowFailException(f"The others are published. Held: {listeners}")
