"""The lock that says a local stack is running: one stack for each state folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from include.stack.local.state_folder import SetupError, StateFolder


@contextmanager
def only_stack(state: StateFolder) -> Iterator[None]:
    """Hold the lock of this state folder while the stack runs; it contains the process id. A kill releases it.

    :raises SetupError: a stack is running already.
    """
    state.folder.mkdir(parents=True, exist_ok=True)
    with state.run_lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SetupError(
                f"A stack is already running in {state.folder} (process {lock.read()}): stop it with `make stop`."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
        lock.truncate(0)


def running_stack(state: StateFolder) -> psutil.Process | None:
    """The process whose stack is running, or None."""
    if not state.run_lock.exists():
        return None
    with state.run_lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            return psutil.Process(int(lock.read()))
    return None
