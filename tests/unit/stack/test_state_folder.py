"""State of one installation: secrets only its owner can read, one kind of data, one stack at a time."""

import stat

import pytest

from include.stack.local.commands import clean
from include.stack.local.stack_lock import only_stack, running_stack
from include.stack.local.state_folder import SetupError, StateFolder


@pytest.fixture
def state(tmp_path):
    return StateFolder(tmp_path / "state")


def test_a_secret_stays_the_same_and_private(state):
    first = state.secret("key")
    assert state.secret("key") == first != state.secret("another")
    file = state.folder / "secrets" / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(("first", "second"), [("demo", "real"), ("real", "demo")])
def test_demo_and_real_data_do_not_mix(state, first, second):
    state.claim(first)
    state.claim(first)
    with pytest.raises(SetupError, match=r"LISTENING_STATE_DIR"):
        state.claim(second)
    assert state.kind == first


def test_clean_keeps_real_data_unless_told(state):
    state.claim("real")
    state.exports.mkdir()
    with pytest.raises(SetupError, match="YES=1"):
        clean(state, yes=False)
    assert state.exports.exists()
    clean(state, yes=True)
    assert not state.exports.exists()
    assert state.kind is None


def test_clean_keeps_the_virtual_environment(state):
    state.claim("demo")
    (state.folder / "venv").mkdir()
    clean(state, yes=False)
    assert (state.folder / "venv").exists()


def test_only_one_stack_runs(state):
    with only_stack(state):
        with pytest.raises(SetupError, match="make stop"), only_stack(state):
            pass
        runner = running_stack(state)
        assert runner is not None
        assert runner.is_running()
    assert running_stack(state) is None
    with only_stack(state):
        pass
