from include.sql.schema.migrate import run_sql_of

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_of(__file__)
