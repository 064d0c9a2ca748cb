from include.sql.schema.migrate import run_sql_of

revision = "0190"
down_revision = "0170"


def upgrade() -> None:
    run_sql_of(__file__)
