"""Write the dashboards as HTML files: python -m dashboards.report [--listener ada] [--period 365d] [--folder
.local/report].

One file a page, without scripts: charts are SVG, so the files open anywhere, offline too, and print well.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from dashboards import look

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Listening</title>{head}
<script>document.documentElement.classList.toggle('dark', matchMedia('(prefers-color-scheme: dark)').matches)</script>
</head><body><main class="home">{body}</main></body></html>
"""


def write_report(folder: Path) -> list[Path]:
    """Run every page and write what it shows. Which listener and period: the process's --listener and --period
    arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    token = look.WRITING_FILES.set(True)
    try:
        return [_write_page(folder, page) for page in look.PAGES]
    finally:
        look.WRITING_FILES.reset(token)


def _write_page(folder: Path, page: str) -> Path:
    outputs, _ = importlib.import_module(f"dashboards.{page}").app.run()
    body = "".join(output.text for output in outputs if hasattr(output, "text"))
    file = folder / f"{page}.html"
    file.write_text(TEMPLATE.format(title=look.PAGES[page][0], head=look.head(), body=body))
    return file


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.report", description="Write the dashboards as HTML files."
    )
    # The pages read these two themselves, as they do under `marimo export html page.py -- --listener ada`.
    parser.add_argument("--listener", help="user_id; default: the listener with the most plays")
    parser.add_argument("--period", help="7d, 28d, 90d, 365d, all, a year, or FROM..TO; default 28d")
    parser.add_argument("--folder", type=Path, default=Path(".local/report"))
    for file in write_report(parser.parse_args().folder):
        print(file)


if __name__ == "__main__":
    main()
