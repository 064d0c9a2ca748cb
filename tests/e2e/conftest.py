"""One whole stack for all end-to-end tests: its own folder and ports, so that a running demo is not disturbed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.stack.local.ports import DEFAULTS
from include.stack.local.services import marked
from include.stack.local.stack import Stack
from include.stack.local.state_folder import StateFolder


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The demo's stack, healthy, no run yet."""
    with pytest.MonkeyPatch.context() as environment, tempfile.TemporaryDirectory(prefix="listening-e2e-") as folder:
        for service in DEFAULTS:
            environment.setenv(f"{service.upper()}_PORT", "0")
        environment.setenv("LISTENING_STATE_DIR", folder)
        state = StateFolder.from_environment()
        with Stack(state, "demo") as stack:
            yield stack
        assert marked(str(state.folder)) == [], "the stack left processes behind"
        assert not (state.postgres / "postmaster.pid").exists(), "the stack left PostgreSQL running"
        assert Path(folder).exists()
