from include.sql.schema.migrate import run_sql_of

revision = "0040"
down_revision = "0023"


def upgrade() -> None:
    run_sql_of(__file__)
