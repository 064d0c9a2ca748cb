"""The documents name only what there is."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from listening.task_docs import TASK_DOCS, failure_table

from include import PROJECT

DOCUMENTS = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
]
ROOMS = ("dags", "dashboards", "docs", "include", "ml", "plugins", "tests")
MAKEFILE = (PROJECT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))

FILES = [
    *(path for path in PROJECT.iterdir() if path.is_file()),
    *(path for room in ROOMS for path in (PROJECT / room).rglob("*") if "__pycache__" not in path.parts),
]
NAMES = [*ROOMS, *(path.relative_to(PROJECT).as_posix() for path in FILES)]
# Every word of the code: names of tasks, tables, columns, functions, settings.
WORDS = {
    word
    for path in FILES
    if path.suffix in (".py", ".sql", ".j2", ".yml", ".yaml", ".toml", ".sh") and path != Path(__file__)
    for word in re.findall(r"\w+", path.read_text())
} | {path.stem for path in FILES}
OF_OTHERS = {"create_distributed_table"}  # Citus


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def document(request: pytest.FixtureRequest) -> Path:
    return request.param


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def code_in(document: Path) -> list[str]:
    """What stands in backticks or in indented or fenced blocks."""
    text = document.read_text()
    return [*re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]


def exists(path: str) -> bool:
    """Whether it is a file or folder of the project, by its path or the end of it; may have `*` in it."""
    return any(fnmatch(name, path) or fnmatch(name, f"*/{path}") for name in NAMES)


def test_links_lead_somewhere(document):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text()):
        linked = document.parent / target if target else document
        assert linked.exists(), target
        assert not anchor or anchor in headings(linked), f"{target}#{anchor}"


def test_make_targets_exist(document):
    assert {target for code in code_in(document) for target in re.findall(r"\bmake ([a-z][a-z-]*)", code)} <= TARGETS


def test_paths_exist(document):
    for code in code_in(document):
        paths = re.findall(rf"(?<![\w/.-])(?:{'|'.join(ROOMS)})/[\w./*-]*", code)
        paths += re.findall(r"[\w./*-]+\.(?:py|sql|j2|yml|yaml|toml)(?![\w.])", code)
        for path in paths:
            assert exists(path.rstrip("/.")), path


def test_names_exist(document):
    """Names of several words, like those of tasks, tables, columns and settings, occur in the code."""
    for code in re.findall(r"`([^`\n]+)`", document.read_text()):
        assert set(re.findall(r"\b[A-Za-z]+(?:_[A-Za-z0-9]+)+\b", code)) <= WORDS | OF_OTHERS, code


def test_the_architecture_shows_every_task():
    sketch = (PROJECT / "docs" / "architecture.md").read_text().split("```")[1]
    assert set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", sketch)) <= TASK_DOCS.keys()
    through = {"start_models", "raw_rejected", "analytics_rejected", "ml_rejected", "ingestion_failed"}
    assert {task for task in TASK_DOCS if task not in sketch} == through


def test_the_readme_is_short():
    assert len((PROJECT / "README.md").read_text().splitlines()) < 90


def test_operations_say_what_the_task_docs_say():
    assert failure_table() in (PROJECT / "docs" / "operations.md").read_text()


def test_pre_commit_runs_the_tools_of_make_lint():
    lint = MAKEFILE.split("\nlint:")[1].split("\n.PHONY")[0]
    hooks = (PROJECT / ".pre-commit-config.yaml").read_text()
    tools = r"-m (ruff check|ruff format --check|\w+)"
    assert set(re.findall(tools, hooks)) == set(re.findall(tools, lint))
