from include.sql.schema.migrate import run_sql_of

revision = "0020"
down_revision = "0030"


def upgrade() -> None:
    run_sql_of(__file__)
