"""Whose a containerised installation is: the demo's or a real listener's. Claimed at its first start, never mixed."""

from __future__ import annotations

import sys
from pathlib import Path

KIND = Path("/opt/airflow/settings/kind")


def claim(kind: str, *, file: Path = KIND) -> str | None:
    """Make the installation `kind` (`demo` or `real`); what stands in the way, or None.

    `real` yields to a demo that is there: `docker compose up` without the profile starts it without its simulator.
    """
    if not file.exists():
        unfinished = file.with_suffix(".new")
        unfinished.write_text(kind)
        unfinished.replace(file)
    if kind == "demo" and file.read_text() != "demo":
        return (
            "This installation holds real listeners' data, which must not mix with the demo's. Keep both: "
            "`docker compose -p demo --profile demo up -d --build --wait` (set AIRFLOW_PORT and DASHBOARDS_PORT)."
        )
    return None


if __name__ == "__main__":
    sys.exit(claim(sys.argv[1]))
