"""What a disturbed stack and an undisturbed one must have in common: faults by the seed, and the times of runs."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from tests.chaos.faults import in_turn
from tests.chaos.stacks import STEP, ChaosClock

NAMES = ["a", "b", "c", "d"]


def faults(seed: int, rounds: int = 12, minutes: float = 1) -> list[str]:
    return list(in_turn(NAMES, random.Random(seed), rounds, minutes))


def test_every_kind_comes_before_any_comes_again():
    order = faults(seed=1)
    assert len(order) == 12
    for cycle in (order[:4], order[4:8], order[8:]):
        assert sorted(cycle) == NAMES


def test_the_seed_decides_the_order():
    assert faults(1) == faults(1)
    assert len({tuple(faults(seed)) for seed in range(5)}) > 1


def test_faults_end_with_the_rounds_or_the_minutes():
    assert len(faults(1, rounds=5)) == 5
    assert list(islice(in_turn(NAMES, random.Random(1), 100, 0), 3)) == []


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_however_many_runs_a_step_took_the_next_is_at_the_same_moment(tmp_path, runs):
    clock = ChaosClock(tmp_path / "clock.json", present=lambda: datetime(2026, 11, 1, tzinfo=UTC))
    moments = [clock.begin_run() for _ in range(runs)]
    assert moments == [clock.start + timedelta(minutes=number) for number in range(runs)]
    clock.advance()
    assert clock.now == clock.start + STEP
    clock.begin_run()
    clock.advance()
    assert clock.now == clock.start + 2 * STEP
