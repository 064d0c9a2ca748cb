from include.sql.schema.migrate import run_sql_of

revision = "0160"
down_revision = "0150"


def upgrade() -> None:
    run_sql_of(__file__)
