"""Serves the simulator: in a process of its own or in a thread of a test."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from include.demo.listeners import DEMO_LISTENERS
from include.demo.session_types import Listener
from include.demo.simulator.app import create_app
from include.demo.simulator.client import SimulatorClient
from include.demo.simulator.control import moment_ms
from include.demo.simulator.database import SimulatorDatabase
from include.demo.simulator.simulated_spotify import SimulatedSpotify
from include.demo.simulator.simulation import Clock, Simulation


def open_spotify(
    state: Path, now: str | None = None, listeners: Sequence[Listener] = DEMO_LISTENERS, *, running: bool = False
) -> SimulatedSpotify:
    """The simulated Spotify with what `state` stores. Its clock: set to `now`, else as it was left, else real time."""
    state.mkdir(parents=True, exist_ok=True)
    database = SimulatorDatabase(state / "simulator.sqlite3")
    stored = database.setting("clock")
    if now is not None:
        clock = Clock(moment_ms(now), running=running)
    elif stored is not None:
        clock = Clock(**json.loads(stored))
    else:
        clock = Clock()
    return SimulatedSpotify(Simulation(tuple(listeners), clock), database)


@contextlib.contextmanager
def simulator_server(
    state: Path | None = None, now: str | None = None, listeners: Sequence[Listener] = DEMO_LISTENERS
) -> Iterator[SimulatorClient]:
    """Serve a simulator on a free port of 127.0.0.1 in a thread of this process; yields a client of its control routes.

    The clock is frozen at `now` (ISO) if given. Without `state`, nothing is kept afterwards.
    """
    with contextlib.ExitStack() as stack:
        if state is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        spotify = open_spotify(state, now, listeners)
        stack.callback(spotify.database.close)
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(create_app(spotify), listening.getsockname()[1]))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True, name="simulator")
        thread.start()
        _wait(lambda: server.started, "the simulator did not start")
        try:
            yield SimulatorClient(f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=10)


def server_config(app: ASGIApp, port: int, host: str = "127.0.0.1") -> uvicorn.Config:
    return uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False, http="h11", lifespan="off")


def _wait(condition: Callable[[], bool], problem: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(problem)
        time.sleep(0.01)
