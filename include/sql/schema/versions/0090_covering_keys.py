from include.sql.schema.migrate import run_sql_of

revision = "0090"
down_revision = "0040"


def upgrade() -> None:
    run_sql_of(__file__)
