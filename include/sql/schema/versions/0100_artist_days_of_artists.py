from include.sql.schema.migrate import run_sql_of

revision = "0100"
down_revision = "0080"


def upgrade() -> None:
    run_sql_of(__file__)
