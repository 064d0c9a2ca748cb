"""The simulated Spotify for a network of containers that nobody outside reaches: `python -m include.deploy.simulator`.

By itself (include/demo/simulator.py) it listens on loopback only, because whoever reaches it rules its world.
"""

from __future__ import annotations

import threading
from pathlib import Path

import uvicorn

from include.demo.simulator import create_app, open_spotify

STATE = Path("/opt/airflow/simulator")
PORT = 8765


def main() -> None:
    spotify = open_spotify(STATE)
    threading.Thread(target=spotify.world.tell_all, daemon=True, name="stories").start()
    # Every interface of the container; its only network is internal and none of its ports is published.
    uvicorn.run(create_app(spotify), host="0.0.0.0", port=PORT, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
