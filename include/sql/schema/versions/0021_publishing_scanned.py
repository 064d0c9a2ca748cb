from include.sql.schema.migrate import run_sql_of

revision = "0021"
down_revision = "0060"


def upgrade() -> None:
    run_sql_of(__file__)
