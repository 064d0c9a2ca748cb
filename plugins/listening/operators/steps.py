"""Operators of the steps that build tables for all listeners, and the one that tells whom a step holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.listening_db import LISTENING_DB, connect
from listening.callables import run_model_step
from listening.links import PERSONAS, PLAYLISTS

if TYPE_CHECKING:
    from airflow.sdk import Context


class BuildStepOperator(SQLExecuteQueryOperator):
    """Executes a step's SQL file in one transaction; at somebody's data that it fails at, listener by listener.

    The listener is then held and the task succeeds: see include/sql/holding.py.

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


class ModelStepOperator(PythonOperator):
    """A step of `ml.STEPS`. Returns its counts.

    :param step: its name there.
    :param as_of: the run's time, ISO 8601. (templated)
    """

    operator_extra_links = (PERSONAS, PLAYLISTS)

    def __init__(self, *, step: str, as_of: str, **kwargs: Any) -> None:
        super().__init__(python_callable=run_model_step, op_kwargs={"step": step, "as_of": as_of}, **kwargs)


class ListenersHeldOperator(BaseOperator):
    """Turns a run red at its end whose steps failed at a listener's data; skipped when they did at nobody's.

    :param postgres_conn_id: the listening database.
    :raises AirflowFailException: names listener, step and error.
    """

    ui_color = "#f4c7c3"

    def __init__(self, *, postgres_conn_id: str = LISTENING_DB, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> None:
        from include.sql.holding import held_listeners

        with connect(self.postgres_conn_id) as connection:
            held = held_listeners(connection)
        if not held:
            raise AirflowSkipException("No step failed at a listener's data.")
        told = "; ".join(f"{user_id} at {step}: {message}" for user_id, step, message in held)
        raise AirflowFailException(f"The others are published. Held: {told}")
