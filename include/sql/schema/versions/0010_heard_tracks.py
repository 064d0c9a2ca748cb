from include.sql.schema.migrate import run_sql_of

revision = "0010"
down_revision = "0020"


def upgrade() -> None:
    run_sql_of(__file__)
