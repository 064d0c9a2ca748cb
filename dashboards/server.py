"""The web server: the home page, /health, marimo's frontend once for all pages, and each page under its name."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import marimo
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dashboards.components import theme
from dashboards.home import home_page
from dashboards.pages import PAGES
from dashboards.prerender import FRONTEND_PATH, Prerender

NOTEBOOKS = Path(__file__).parent / "pages"


class FrontendFiles(StaticFiles):
    """marimo's scripts and fonts. Their names carry a hash, so a browser may keep them for good."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


async def home(_: Request) -> Response:
    return HTMLResponse(await run_in_threadpool(home_page))


async def health(_: Request) -> Response:
    return PlainTextResponse("ok")


def create_app() -> Starlette:
    """The whole site as an ASGI app."""
    builder = marimo.create_asgi_app(quiet=True, asset_url=FRONTEND_PATH, html_head=str(theme.head()))
    for page in PAGES:
        builder = builder.with_app(
            path=f"/{page}", root=str(NOTEBOOKS / f"{page}.py"), middleware=[partial(Prerender, page=page)]
        )
    return Starlette(
        routes=[
            Route("/", home),
            Route("/health", health),
            Mount(FRONTEND_PATH, FrontendFiles(directory=theme.FRONTEND)),
            Mount("/", builder.build()),
        ]
    )
