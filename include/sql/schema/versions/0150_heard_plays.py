from include.sql.schema.migrate import run_sql_of

revision = "0150"
down_revision = "0140"


def upgrade() -> None:
    run_sql_of(__file__)
