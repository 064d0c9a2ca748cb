"""The whole schema as it was on 25 November 2026, by subject: `include/sql/schema/baseline`, its files in order."""

from alembic import op

from include.sql.schema.migrate import FOLDER, run_sql_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    # Functions and tables name each other: what a function's text names must exist when it is called, not before.
    op.execute("set local check_function_bodies = off")
    for file in sorted((FOLDER / "baseline").glob("*.sql")):
        run_sql_file(file)
