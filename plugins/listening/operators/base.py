"""What the project's operators have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from include.listening_db import LISTENING_DB, connect

if TYPE_CHECKING:
    import psycopg


class ListeningDbOperator(BaseOperator):
    """An operator that works on the listening database.

    :param postgres_conn_id: the listening database.
    """

    def __init__(self, *, postgres_conn_id: str = LISTENING_DB, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.postgres_conn_id = postgres_conn_id

    def connect(self) -> psycopg.Connection:
        """Open a connection. Used with `with`, it commits at the end, or rolls back after an error, and closes."""
        return connect(self.postgres_conn_id)
