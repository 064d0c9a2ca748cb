"""Write the dashboards as HTML files: python -m dashboards.report [--listener ada] [--period 365d] [--folder FOLDER].

One file a page, without scripts: charts are SVG, so the files open anywhere, offline too, and print well.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from dashboards.components import theme
from dashboards.components.templates import render as render_template
from dashboards.pages import PAGES
from dashboards.prerender import render


def write_report(folder: Path, parameters: Mapping[str, str]) -> list[Path]:
    """Write every page for these parameters (listener, period). Returns the files, one a page."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for page, (title, _) in PAGES.items():
        file = folder / f"{page}.html"
        body = render(page, parameters, "file")
        file.write_text(render_template("report.html.j2", title=title, head=theme.head(), body=body))
        files.append(file)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.report", description="Write the dashboards as HTML files."
    )
    parser.add_argument("--listener", help="user_id; default: the listener with the most plays")
    parser.add_argument("--period", help="7d, 28d, 90d, 365d, all, a year, or FROM..TO; default 28d")
    parser.add_argument("--folder", type=Path, default=Path(".local/report"))
    options = parser.parse_args()
    chosen = {"listener": options.listener, "period": options.period}
    for file in write_report(options.folder, {name: value for name, value in chosen.items() if value}):
        print(file)


if __name__ == "__main__":
    main()
