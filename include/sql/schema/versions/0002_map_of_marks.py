"""The map of marks: the statements stand in the SQL file of the same name."""

from include.sql.schema.migrate import run_sql_of

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql_of(__file__)
