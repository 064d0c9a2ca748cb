"""${message}: the statements stand in the SQL file of the same name."""

from include.sql.schema.migrate import run_sql_of

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    run_sql_of(__file__)
