"""Builds the whole ml layer anew from staging's analytics tables and prints a digest of every row: `python layer.py
CONNINFO`.

Run by test_determinism in other interpreters, so it needs only what `ml/` needs.
"""

import hashlib
import sys
from datetime import UTC, datetime

import psycopg

from tests.integration.ml.staging import RESULTS, run_steps, snapshot


def main(conninfo: str) -> str:
    with psycopg.connect(conninfo) as connection:
        for table in RESULTS:
            connection.execute(f"delete from staging.{table}")
        connection.execute(
            "insert into pending_days select s, user_id, local_date from staging.listening_sessions,"
            " unnest(array['session_features', 'user_features', 'artist_cooccurrence', 'playlists']) s"
            " on conflict do nothing"
        )
        connection.commit()
        run_steps(connection, datetime(2026, 12, 1, tzinfo=UTC))
        text = "\n".join(f"{table} {row}" for table, rows in snapshot(connection).items() for row in rows)
    return f"{hashlib.sha256(text.encode()).hexdigest()} {text.count(chr(10)) + 1} rows"


if __name__ == "__main__":
    print(main(sys.argv[1]))
