from include.sql.schema.migrate import run_sql_of

revision = "0080"
down_revision = "0071"


def upgrade() -> None:
    run_sql_of(__file__)
