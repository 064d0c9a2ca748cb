"""The map of marks: which step reads what another one writes."""

from include.sql.schema.migrate import run_sql_of

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql_of(__file__)  # the SQL file of the same name
