"""The dashboards, served in a process of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from include import PROJECT


@contextmanager
def dashboards_server(reader_conninfo: str) -> Iterator[str]:
    """Serve the dashboards of that database by `python -m dashboards`; yields their address.

    :raises RuntimeError: they ended at once, or did not answer within a minute.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "LISTENING_READER_DSN": reader_conninfo, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "dashboards", "--port", str(port)]
    with subprocess.Popen(command, env=environment, cwd=PROJECT) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=2).close()
                    break
                except OSError:
                    if server.poll() is not None:
                        raise RuntimeError("python -m dashboards ended") from None
                    time.sleep(0.25)
            else:
                raise RuntimeError("python -m dashboards does not answer")
            yield address
        finally:
            server.terminate()
