"""The documents name only what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from listening.task_docs import failure_table

from include import PROJECT

DOCUMENTS = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
ROOMS = ("dags/", "dashboards/", "docs/", "include/", "ml/", "plugins/", "tests/")


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def document(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_make_targets_exist(document):
    assert set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", document.read_text(), re.MULTILINE)) <= TARGETS


def test_paths_exist(document):
    for path in re.findall(r"`([\w./-]+)`", document.read_text()):
        if path.startswith(ROOMS):
            assert (PROJECT / path).exists(), path


def test_the_readme_is_short():
    assert len((PROJECT / "README.md").read_text().splitlines()) < 90


def test_operations_say_what_the_task_docs_say():
    assert failure_table() in (PROJECT / "docs" / "operations.md").read_text()
