"""A simulated Spotify for each test, with short histories so that it answers at once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

import pytest
import requests

from include.demo.listeners import DEMO_LISTENERS
from include.demo.simulator.client import SimulatorClient
from include.demo.simulator.server import simulator_server

NOW = "2026-10-23T12:00:00+00:00"
LISTENERS = tuple(replace(each, first_day=max(each.first_day, date(2026, 9, 1))) for each in DEMO_LISTENERS)


@pytest.fixture
def simulator() -> Iterator[SimulatorClient]:
    with simulator_server(now=NOW, listeners=LISTENERS) as client:
        yield client


class Api:
    """The Web API as one listener's access token sees it."""

    def __init__(self, simulator: SimulatorClient, access_token: str) -> None:
        self.simulator = simulator
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {access_token}"

    def __call__(self, method: str, path: str, **arguments: object) -> requests.Response:
        return self.session.request(method, f"{self.simulator.url}{path}", timeout=10, **arguments)  # type: ignore[arg-type]

    def recently_played(self, **parameters: int) -> dict:
        return self("GET", "/v1/me/player/recently-played", params=parameters).json()


def ask_for_token(simulator: SimulatorClient, authorization: dict, **form: str) -> requests.Response:
    form = {"grant_type": "refresh_token", "refresh_token": authorization["refresh_token"], **form}
    credentials = (authorization["client_id"], authorization["client_secret"])
    return requests.post(f"{simulator.url}/api/token", data=form, auth=credentials, timeout=10)


@pytest.fixture
def api_of(simulator: SimulatorClient) -> Callable[..., Api]:
    def open_api(user_id: str, scope: str | None = None) -> Api:
        answer = ask_for_token(simulator, simulator.refresh_token(user_id, scope=scope))
        return Api(simulator, answer.json()["access_token"])

    return open_api


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]
