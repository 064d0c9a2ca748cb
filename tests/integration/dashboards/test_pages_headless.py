"""Every page outside a browser: checked, exported, written as a report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dashboards import report
from dashboards.pages import PAGES

PROJECT = Path(__file__).parents[3]
FILES = [f"dashboards/pages/{page}.py" for page in PAGES]


def marimo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "marimo", *arguments],
        cwd=PROJECT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_notebooks_are_clean():
    checked = marimo("check", "--strict", *FILES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("page", PAGES)
def test_export_runs_every_cell(page, tmp_path):
    file = tmp_path / f"{page}.html"
    exported = marimo(
        "export", "html", f"dashboards/pages/{page}.py", "-o", str(file), "--no-include-code", "--", "--listener", "bea"
    )
    assert exported.returncode == 0, exported.stdout + exported.stderr
    assert "Data of Bea Winterbourne" in file.read_text()


def test_report_holds_every_page_without_scripts_from_elsewhere(tmp_path):
    files = report.write_report(tmp_path, {"listener": "ada", "period": "2026"})
    assert [file.stem for file in files] == list(PAGES)
    for file in files:
        written = file.read_text()
        assert "Data of Ada Kowalczyk" in written
        assert "src=" not in written
        assert "marimo-" not in written.split("</head>")[1]
        assert all(f'href="{page}.html"' in written for page in PAGES)
    assert "2026: 1 Jan 2026 to 23 Oct 2026" in files[1].read_text()
    assert "<svg" in files[1].read_text()
