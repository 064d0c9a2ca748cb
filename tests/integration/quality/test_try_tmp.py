import sys; sys.path.insert(0,'plugins')
import psycopg, json
from pathlib import Path
import soda_operator
def test_scan(connection):
    connection.execute("insert into listeners (user_id, display_name, time_zone) values ('ada','Ada','Europe/Berlin')"); connection.commit()
    for scan in ("raw","analytics","ml"):
        out = soda_operator.run_checks(connection, scan=scan, folder=Path("include/soda")/scan, as_of="2026-03-01 00:00:00+00:00")
        for o in out: print(o["outcome"], o["check_id"], o["measured_value"], o["severity"], o["duration_ms"])
    assert 0
