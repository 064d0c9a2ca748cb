"""${message[:1].upper() + message[1:]}."""

from include.sql.schema.migrate import run_sql_of

revision = "${up_revision}"
down_revision = "${down_revision}"


def upgrade() -> None:
    run_sql_of(__file__)  # the SQL file of the same name
