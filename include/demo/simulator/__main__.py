"""Spotify and ReccoBeats on 127.0.0.1, as an app in development mode meets them: `python -m include.demo.simulator`."""

from __future__ import annotations

import argparse
import logging
import threading
from pathlib import Path

import uvicorn

from include.demo.simulator.app import create_app
from include.demo.simulator.server import open_spotify, server_config
from include.demo.simulator.spotify_json import iso_ms

logger = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a simulated Spotify on 127.0.0.1.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; only a closed network may reach more")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps tokens, playlists and the clock")
    parser.add_argument("--now", help="ISO moment to freeze the clock at; default: where it last was, else real time")
    parser.add_argument("--running", action="store_true", help="let the clock run on from --now")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    spotify = open_spotify(arguments.state, arguments.now, running=arguments.running)
    threading.Thread(target=spotify.simulation.build_all, daemon=True, name="stories").start()
    logger.info(
        "Spotify simulator on http://127.0.0.1:%s, clock at %s",
        arguments.port,
        iso_ms(spotify.now_ms),
    )
    uvicorn.Server(server_config(create_app(spotify), arguments.port, arguments.host)).run()


if __name__ == "__main__":
    main()
