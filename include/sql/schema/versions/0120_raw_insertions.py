from include.sql.schema.migrate import run_sql_of

revision = "0120"
down_revision = "0110"


def upgrade() -> None:
    run_sql_of(__file__)
