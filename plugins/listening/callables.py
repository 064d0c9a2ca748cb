"""What the DAG's PythonOperators call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any

from include.listening_db import LISTENING_DB_OWNER, connect
from ml import STEPS


def migrate_listening_db(postgres_conn_id: str = LISTENING_DB_OWNER) -> dict[str, str | None]:
    """Migrate the listening database to the newest schema; return the revision before and after.

    :param postgres_conn_id: connects as the role that owns the schema; no other task uses it.
    """
    import sqlalchemy as sa

    from include.sql.schema.migrate import migrate

    # A creator, because the hook's own URL cannot say that the host is a socket's folder.
    engine = sa.create_engine("postgresql+psycopg://", creator=partial(connect, postgres_conn_id))
    try:
        before, after = migrate(engine)
    finally:
        engine.dispose()
    return {"before": before, "after": after}


def run_model_step(step: str, as_of: str) -> dict[str, Any]:
    """Run a step of `ml.STEPS` on the listening database; return its counts.

    :param as_of: the run's time, ISO 8601; UTC when it has no offset.
    """
    moment = datetime.fromisoformat(as_of)
    build: Callable[..., dict[str, Any]] = getattr(import_module(STEPS[step]), step)
    with connect() as connection:
        return build(connection, as_of=moment if moment.tzinfo else moment.replace(tzinfo=UTC))
