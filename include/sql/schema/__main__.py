"""`python -m include.sql.schema "add the label of albums"`: makes the next revision's two files, for you to fill in."""

from __future__ import annotations

import argparse
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from include.sql.schema.migrate import alembic_config

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("message", help="what the revision does, in a few words")
message = parser.parse_args().message

config = alembic_config()
config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
newest = ScriptDirectory.from_config(config).get_current_head() or "0000"
made = command.revision(config, message, rev_id=f"{int(newest) + 1:04}")
python_file = Path(made.path)  # type: ignore[union-attr] # one revision is made, not a list
sql_file = python_file.with_suffix(".sql")
sql_file.write_text(f"-- {message[:1].upper()}{message[1:]}.\n")
print(f"Write the statements into {sql_file}; say in {python_file.name} what they are for.")
