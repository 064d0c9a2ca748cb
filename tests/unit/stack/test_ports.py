"""Ports: the default, the next free one when it is taken, an error that names the port when one was asked for."""

import socket

import pytest

from include.stack.local import ports
from include.stack.local.state_folder import SetupError


@pytest.fixture
def taken():
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(autouse=True)
def no_wishes(monkeypatch):
    for service in ports.DEFAULTS:
        monkeypatch.delenv(f"{service.upper()}_PORT", raising=False)


def test_a_taken_default_gives_way(taken, monkeypatch):
    monkeypatch.setitem(ports.DEFAULTS, "airflow", taken)
    chosen = ports.choose_port("airflow")
    assert taken < chosen < taken + 100
    assert ports.is_free(chosen)


def test_a_taken_wish_is_an_error_that_names_it(taken, monkeypatch):
    monkeypatch.setenv("AIRFLOW_PORT", str(taken))
    with pytest.raises(SetupError, match=f"{taken}.*AIRFLOW_PORT"):
        ports.choose_port("airflow")


def test_services_get_different_ports_that_other_commands_find(tmp_path, monkeypatch, taken):
    monkeypatch.setattr(ports, "DEFAULTS", dict.fromkeys(ports.DEFAULTS, taken))
    chosen = ports.choose_ports(tmp_path / "ports.json")
    assert len(set(chosen.values())) == len(chosen) == 3
    assert ports.known_ports(tmp_path / "ports.json") == chosen


def test_any_port(monkeypatch):
    monkeypatch.setenv("AIRFLOW_PORT", "0")
    assert ports.is_free(ports.choose_port("airflow"))
