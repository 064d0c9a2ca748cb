"""Starts, watches and stops the processes of a stack.

Each process carries a mark in its environment, by which a later start finds and ends what a killed stack left running.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

MARK = "LISTENING_STACK"
SECONDS_TO_STOP = 20


class ServiceError(Exception):
    """A service died or did not become ready; the message holds the end of its log."""


class Services:
    """The processes of one stack, each in a session of its own, so that a Ctrl-C reaches only their parent.

    :param log_dir: each process writes to <name>.log here.
    :param mark: put into the environment of every process; identifies it after its parent was killed.
    """

    def __init__(self, log_dir: Path, mark: str) -> None:
        self.log_dir = log_dir
        self.mark = mark
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str], environment: dict[str, str], cwd: Path | None = None) -> None:
        """Start a process; what it prints goes to its log."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        with self.log_file(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command,
                # SPT_NOENV: setproctitle, which Airflow uses, would otherwise overwrite the mark.
                env=environment | {MARK: self.mark, "SPT_NOENV": "1"},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log_file(self, name: str) -> Path:
        """The log of the service of that name."""
        return self.log_dir / f"{name}.log"

    def log_tail(self, name: str, lines: int = 20) -> str:
        """The last lines of a service's log, indented."""
        text = self.log_file(name).read_text(errors="replace").rstrip()
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def check(self) -> None:
        """Raise ServiceError if a service has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise ServiceError(f"{name} ended with status {process.returncode}. {self._log_hint(name)}")

    def wait_until(self, name: str, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until `ready()`.

        :raises ServiceError: a service ended meanwhile, or `name` was not ready within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ServiceError(f"{name} was not ready after {timeout:.0f} s. {self._log_hint(name)}")
            time.sleep(0.25)

    def finish(self, name: str, timeout: float) -> None:
        """Wait for a process that ends by itself.

        :raises ServiceError: it failed, or took more than `timeout` seconds.
        """
        try:
            status = self.processes[name].wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise ServiceError(f"{name} still ran after {timeout:.0f} s. {self._log_hint(name)}") from error
        if status:
            raise ServiceError(f"{name} failed with status {status}. {self._log_hint(name)}")
        del self.processes[name]

    def stop(self) -> None:
        """Stop the services, the last started first, then whatever processes they left."""
        for process in reversed(self.processes.values()):
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + SECONDS_TO_STOP
        for process in self.processes.values():
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        end_marked(self.mark)

    def _log_hint(self, name: str) -> str:
        return f"The end of {self.log_file(name)}:\n{self.log_tail(name)}" if self.log_file(name).exists() else ""


def marked(mark: str) -> list[psutil.Process]:
    """The running processes with that mark, except this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != psutil.Process().pid and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_marked(mark: str) -> int:
    """Terminate, then kill, every process with that mark; return how many there were."""
    processes = marked(mark)
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=10)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=10)
    return len(processes)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
