"""Operators of the steps that build tables for all listeners, and the one that tells whom a step holds."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

if TYPE_CHECKING:
    import psycopg
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

        hook = self.get_db_hook()
        with closing(cast("psycopg.Connection", hook.get_conn())) as connection:
            run_statements(
                connection, self.step, hook.split_sql_string(cast("str", self.sql)), dict(self.parameters or {})
            )


class ListenersHeldOperator(BaseOperator):
    """Turns a run red at its end whose steps failed at a listener's data; skipped when they did at nobody's.

    :param postgres_conn_id: the listening database.
    :raises AirflowFailException: names listener, step and error.
    """

    ui_color = "#f4c7c3"

    def __init__(self, *, postgres_conn_id: str = "listening_db", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.postgres_conn_id = postgres_conn_id

    def execute(self, context: Context) -> None:
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        from include.sql.holding import held_listeners

        with closing(cast("psycopg.Connection", PostgresHook(self.postgres_conn_id).get_conn())) as connection:
            held = held_listeners(connection)
        if not held:
            raise AirflowSkipException("No step failed at a listener's data.")
        told = "; ".join(f"{user_id} at {step}: {message}" for user_id, step, message in held)
        raise AirflowFailException(f"The others are published. Held: {told}")
