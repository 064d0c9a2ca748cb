"""Queries in files: found by name, each name once, none without a reader."""

from __future__ import annotations

import re

import pytest

from include import PROJECT
from include.sql import queries

FOLDERS = ("ingestion", "publishing", "quality")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(queries, "HERE", tmp_path)
    queries._queries.cache_clear()
    (tmp_path / "subject").mkdir()
    yield tmp_path / "subject"
    queries._queries.cache_clear()


def test_a_query_is_found_by_its_name(folder):
    (folder / "two.sql").write_text("-- About both.\n\n-- name: one\n-- Why.\nselect 1;\n\n-- name: other\nselect 2;\n")
    (folder / "alone.sql").write_text("select 3\n")
    assert queries.query("subject", "one") == b"-- Why.\nselect 1;"
    assert queries.query("subject", "other") == b"select 2;"
    assert queries.query("subject", "alone") == b"select 3"


def test_a_name_stands_for_one_query(folder):
    (folder / "a.sql").write_text("-- name: one\nselect 1;\n")
    (folder / "b.sql").write_text("-- name: one\nselect 2;\n")
    with pytest.raises(ValueError, match=r"two queries called one; the second is in b\.sql"):
        queries.query("subject", "one")


@pytest.mark.parametrize("folder_name", FOLDERS)
def test_every_query_is_used(folder_name):
    code = "".join(file.read_text() for root in ("include", "plugins") for file in (PROJECT / root).rglob("*.py"))
    names = set(queries._queries(folder_name))
    assert names
    # import_history passes the names of its COPY statements on.
    assert {name for name in names if f'"{name}"' not in code} == set()
    asked = set(re.findall(rf'query\(\s*"{folder_name}", "(\w+)"', code))
    assert asked <= names
