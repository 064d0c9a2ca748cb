"""docs/metrics.md against the pages: every figure they show is listed, and everything listed exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import pytest
from listening.task_docs import TASK_DOCS

from dashboards import queries
from dashboards.pages import PAGES
from dashboards.prerender import render
from tests.integration.dashboards.elements import figures, of_class, parse, words
from tests.support.pipeline import LISTENERS

PROJECT = Path(__file__).parents[3]
DEFAULT_FILE = "tests/integration/dashboards/test_figures.py"
# Queries that only choose what is shown.
CHOICES = {"listeners", "period_of"}


class Row(NamedTuple):
    page: str
    figure: str
    query: str
    test: str


def listed() -> list[Row]:
    rows = [Row(*cells) for cells in table_rows("| page | figure | query | test |")]
    assert len(rows) > 40
    return rows


def table_rows(head: str) -> list[list[str]]:
    """The cells of the page's table with this head."""
    table = (PROJECT / "docs" / "metrics.md").read_text().split(head)[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[1:]]


def shown_figures(page: Element) -> set[str]:
    """What the page calls its figures: labels of key figures, names of rankings and charts, captions of tables, and
    titles of cards that hold a drawing or a list of their own."""
    names = set(figures(page))
    names |= {f"ranking: {each.get('aria-label')}" for each in page.iter("ol") if each.get("aria-label")}
    names |= {f"chart: {each.get('aria-label')}" for each in page.iter("figure")}
    names |= {f"table: {words(each)}" for each in page.iter("caption")}
    for card in of_class(page, "card"):
        title = words(card.find("header/h3"))
        has_own = [
            each for each in card.iter() if each.tag in ("figure", "table", "ol") or "notice" in each.get("class", "")
        ]
        if title and re.search(r"\d", words(card)) and not has_own:
            names.add(f"card: {title}")
    return names


def pattern(figure: str) -> re.Pattern[str]:
    return re.compile(re.escape(figure).replace("…", ".+"))


@pytest.mark.parametrize("page", PAGES)
def test_every_figure_of_a_page_is_listed(page):
    patterns = [pattern(row.figure) for row in listed() if row.page == page]
    seen: set[str] = set()
    for listener in LISTENERS:
        for period in ("28d", "2026", "all"):
            parameters = {"listener": listener.user_id, "period": period}
            seen |= shown_figures(parse(render(page, parameters, "prerender")))
    assert {name for name in seen if not any(each.fullmatch(name) for each in patterns)} == set()
    # and what is listed under such a name is shown
    for row in listed():
        if row.page == page and re.match(r"(ranking|chart|table|card): ", row.figure):
            assert any(pattern(row.figure).fullmatch(name) for name in seen), row.figure


def test_every_query_is_listed_and_every_listed_one_exists():
    names = {name for name in queries.__all__ if name.islower()} - CHOICES
    assert {row.query.strip("`") for row in listed()} == names


@pytest.mark.parametrize("row", listed(), ids=lambda row: f"{row.page}: {row.figure}")
def test_every_listed_test_exists(row):
    file, _, name = row.test.strip("`").rpartition("::")
    assert re.search(rf"^def {name}\(", (PROJECT / (file or DEFAULT_FILE)).read_text(), re.MULTILINE), row.test


def test_every_table_that_a_query_reads_is_listed_with_the_task_that_writes_it(reader):
    tasks = {
        table.strip("`"): re.findall("`(.+?)`", written_by) for table, written_by in table_rows("| table | task |")
    }
    assert {task for names in tasks.values() for task in names} - {"make authorize"} <= TASK_DOCS.keys()
    exist = {
        name.removeprefix("public.")
        for (name,) in reader.execute("select schemaname || '.' || tablename from pg_tables").fetchall()
    }
    read = {f"analytics.{table}" for days, totals, *_ in queries.KINDS.values() for table in (days, totals)}
    for file in (PROJECT / "include" / "sql" / "dashboards").glob("*.sql"):
        source = file.read_text()
        ctes = set(re.findall(r"\b([a-z_]+) as (?:materialized )?\(", source))
        read |= set(re.findall(r"\b(?:from|join) ([a-z_.]+)", source)) & exist - ctes
    assert tasks.keys() == read
