"""The ports of the local stack, on 127.0.0.1: those asked for, the defaults, or the next free ones."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Collection
from pathlib import Path

from include.stack.local.state_folder import SetupError

LOOPBACK = "127.0.0.1"
DEFAULTS = {"airflow": 8080, "dashboards": 2718, "simulator": 8765}


def is_free(port: int) -> bool:
    """Whether nothing listens on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def choose_port(service: str, not_these: Collection[int] = ()) -> int:
    """Return a free port for a service: the one in <SERVICE>_PORT (0: any), else the default or the next free one.

    :raises SetupError: the port asked for is taken.
    """
    variable = f"{service.upper()}_PORT"
    wanted = os.environ.get(variable)
    if wanted == "0":
        with socket.socket() as any_port:
            any_port.bind((LOOPBACK, 0))
            return any_port.getsockname()[1]
    if wanted:
        if not wanted.isdigit() or not is_free(int(wanted)):
            raise SetupError(
                f"Port {wanted} ({variable}) is taken or not a port. Free it, or set {variable} to another."
            )
        return int(wanted)
    default = DEFAULTS[service]
    for port in range(default, default + 100):
        if port not in not_these and is_free(port):
            return port
    raise SetupError(f"No free port for {service} from {default} to {default + 99}. Set {variable} to a free one.")


def choose_ports(file: Path) -> dict[str, int]:
    """Return a free port for each service, and write them to `file` for the other commands."""
    ports: dict[str, int] = {}
    for service in DEFAULTS:
        ports[service] = choose_port(service, set(ports.values()))
    file.write_text(json.dumps(ports))
    return ports


def known_ports(file: Path) -> dict[str, int]:
    """Return the ports of the last start, or the defaults."""
    return {**DEFAULTS, **(json.loads(file.read_text()) if file.exists() else {})}
