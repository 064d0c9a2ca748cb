"""The callable of task prepare_schema."""

from __future__ import annotations


def migrate_listening_db(postgres_conn_id: str = "listening_db_owner") -> dict[str, str | None]:
    """Migrate the listening database to the newest schema; return the revision before and after.

    :param postgres_conn_id: connects as the role that owns the schema; no other task uses it.
    """
    import sqlalchemy as sa
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from include.sql.schema.migrate import migrate

    # A creator, because a socket folder as host does not survive the hook's own URL.
    engine = sa.create_engine("postgresql+psycopg://", creator=PostgresHook(postgres_conn_id).get_conn)
    try:
        before, after = migrate(engine)
    finally:
        engine.dispose()
    print(f"Schema revision: {before or 'none'} -> {after}")
    return {"before": before, "after": after}
