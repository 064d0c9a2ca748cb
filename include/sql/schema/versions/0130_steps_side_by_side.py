from include.sql.schema.migrate import run_sql_of

revision = "0130"
down_revision = "0120"


def upgrade() -> None:
    run_sql_of(__file__)
