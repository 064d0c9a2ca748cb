"""Serve the dashboards: python -m dashboards [--host 127.0.0.1] [--port 2718]."""

from __future__ import annotations

import argparse
import os
import threading
from pathlib import Path

import uvicorn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dashboards", description="Serve the listening dashboards.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2718)
    options = parser.parse_args()
    # marimo reads its settings (theme, Python path) from the project it starts in.
    os.chdir(Path(__file__).parents[1])
    from dashboards.prerender import warm_up
    from dashboards.server import create_app

    threading.Thread(target=warm_up, daemon=True).start()
    uvicorn.run(create_app(), host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
