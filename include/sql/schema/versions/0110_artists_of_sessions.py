from include.sql.schema.migrate import run_sql_of

revision = "0110"
down_revision = "0100"


def upgrade() -> None:
    run_sql_of(__file__)
