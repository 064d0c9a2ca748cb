"""What the pipeline made of the demo's lives, one server, one browser, for all browser tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from include.stack.local import postgres
from tests.support.dashboards_server import dashboards_server

CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 40_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def reader_dsn(pipeline_socket: Path, demo_database: str) -> str:
    return postgres.conninfo(pipeline_socket, demo_database, "listening_reader")


@pytest.fixture
def reader(reader_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(reader_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def site(reader_dsn: str) -> Iterator[str]:
    """Address of the dashboards, served over the demo's listeners by `python -m dashboards`."""
    with dashboards_server(reader_dsn) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Ends with these tests: while Playwright runs, no other test of the same process can start an event loop.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test when a script fails or the console shows an error."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"script: {error}"))
    page.on("console", lambda message: problems.append(f"console: {message.text}") if message.type == "error" else None)
    page.on(
        "response", lambda answer: problems.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
    )
    yield page
    context.close()
    # Containers that come and go on the machine make Chromium repeat requests: not the pages' fault.
    changed = any("ERR_NETWORK_CHANGED" in problem for problem in problems)
    assert changed or problems == []
