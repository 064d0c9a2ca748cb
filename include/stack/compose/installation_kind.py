"""Whether an installation in containers is for the demo or for real listeners; decided at its first start, for good."""

from __future__ import annotations

import sys
from pathlib import Path

KIND = Path("/opt/airflow/settings/kind")


def claim(kind: str, *, file: Path = KIND) -> str | None:
    """Record the installation's kind, `demo` or `real`; return why that is impossible, or None.

    `real` is no error on a demo: `docker compose up` without the profile starts the demo without its simulator.
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
