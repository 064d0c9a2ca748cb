"""The map of marks (view staging.step_inputs) against the order of the steps, the steps' code and the docs' table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml import STEPS as MODEL_STEPS
from tests.support.steps import STEPS, statements

PROJECT = Path(__file__).parents[3]
# These marks are read by nobody: no step depends on when an album was first heard.
UNREAD = {"album discoveries"}


@pytest.fixture
def step_inputs(connection) -> dict[str, set[str]]:
    """Input → the steps that read it."""
    rows = connection.execute("select input, array_agg(step) from staging.step_inputs group by input").fetchall()
    return {name: set(steps) for name, steps in rows}


def documented() -> list[tuple[str, str, set[str]]]:
    """Input, the step that writes it, the steps that read it: rows of the table in docs/architecture.md."""
    table = (PROJECT / "docs" / "architecture.md").read_text().split("| what changed |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return [
        (re.match(r"`(.+?)`", changed)[1], writer.strip("`"), set(re.findall(r"`(\w+)`", readers)))
        for changed, writer, readers in rows
        if changed.startswith("`")
    ]


def test_the_docs_tell_the_map(step_inputs):
    assert {changed: readers for changed, _, readers in documented()} == step_inputs


def test_marks_go_to_later_steps(connection):
    for changed, writer, readers in documented():
        for reader in readers:
            (is_later,) = connection.execute(
                "select staging.place_of(%s) > staging.place_of(%s)", [reader, writer]
            ).fetchone()
            assert is_later, (changed, writer, reader)


def test_each_input_is_told_of_by_a_step_and_by_nothing_else(step_inputs):
    texts = [statement for step in STEPS for statement in statements(step)]
    texts += [file.read_text() for file in (PROJECT / "include/sql/features").glob("*.sql")]
    texts += [file.read_text() for file in (PROJECT / "ml").rglob("*.py")]
    told = set(re.findall(r"""mark_readers\((?:connection, )?['"]([\w ]+)['"]""", "\n".join(texts)))
    assert told - UNREAD == step_inputs.keys()


def test_every_step_is_marked_by_something(step_inputs):
    marked = set().union(*step_inputs.values()) | {"listening_events"}
    assert marked >= set(STEPS)
    assert len(marked) == len(STEPS) + len(MODEL_STEPS)
