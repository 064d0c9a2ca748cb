from include.sql.schema.migrate import run_sql_of

revision = "0030"
down_revision = "0003"


def upgrade() -> None:
    run_sql_of(__file__)
