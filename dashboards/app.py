"""One web server for all five apps: a home page, /health, marimo's frontend once for all, and each app under its
name."""

from __future__ import annotations

import datetime as dt
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import marimo
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dashboards import drawings, listening_data, look
from dashboards.first_paint import FRONTEND_PATH, FirstPaint

FOLDER = Path(__file__).parent


class FrontendFiles(StaticFiles):
    """marimo's scripts and fonts. Their names carry a hash, so a browser may keep them for good."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def home_page(parameters: dict[str, str]) -> str:
    """Everyone's record shelf: each listener with the year so far, each page with what it answers."""
    people = listening_data.listeners()
    shelves = []
    for place, row in enumerate(people.itertuples()):
        person = listening_data.listener(row.user_id)
        address = urlencode({"listener": row.user_id})
        views = "".join(
            f'<a href="{look.text(page)}/?{address}">{title}</a>' for page, (title, _) in look.PAGES.items()
        )
        if person["plays"]:
            recent = listening_data.days(row.user_id, person["as_of"] - dt.timedelta(days=7 * 26), person["as_of"])
            facts = (
                f"<p><b>{look.duration(person['ms_played_28d'])}</b> in the last 28 days, "
                f"<b>{look.count(person['plays'])}</b> plays, {look.of_30s(person['plays_30s'])}, since "
                f"{look.day(person['first_date'])}</p>{drawings.calendar(recent, person['as_of'], weeks=26)}"
            )
        else:
            facts = '<p class="quiet">Nothing published yet: the next run brings the first plays.</p>'
        colour = look.PERSONA_COLOURS[place % 8]
        shelves.append(
            f'<article class="card shelf"><div class="cover">{drawings.cover(row.user_id, colour, label="")}</div><div>'
            f'<h2><a href="overview/?{address}">{look.text(row.display_name)}</a>'
            f'</h2>{facts}<nav class="views" aria-label="{look.text(row.display_name)}">{views}</nav></div></article>'
        )
    pages = "".join(
        f'<li><a href="{page}/"><strong>{title}</strong></a><span class="quiet">{look.text(about)}</span></li>'
        for page, (title, about) in look.PAGES.items()
    )
    nobody = look.notice(
        "No listeners yet. Authorize a Spotify account or put an export into the export folder, then run the DAG."
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width, initial-scale=1">'
        f"<title>Listening</title>{look.head()}<style>{look.fonts(FRONTEND_PATH)}</style>"
        '</head><body><div class="listening home"><header class="hero"><div><h1>Listening</h1>'
        "<p>What was played, when, and by which of the people each of us turns into. Own data, own machine.</p></div>"
        f'{look.RECORD}</header><main><section aria-label="Listeners" class="cards" '
        f'style="--min:24rem">{"".join(shelves) or nobody}</section>'
        f'<section class="block"><header><h2>The pages</h2></header><ul class="pages">{pages}</ul></section>'
        f"</main></div></body></html>"
    )


async def home(request: Request) -> Response:
    return HTMLResponse(await run_in_threadpool(home_page, dict(request.query_params)))


async def health(_: Request) -> Response:
    return PlainTextResponse("ok")


def create_app() -> Starlette:
    """The whole site as an ASGI app."""
    builder = marimo.create_asgi_app(quiet=True, asset_url=FRONTEND_PATH, html_head=look.head())
    for page in look.PAGES:
        builder = builder.with_app(
            path=f"/{page}", root=str(FOLDER / f"{page}.py"), middleware=[partial(FirstPaint, page=page)]
        )
    return Starlette(
        routes=[
            Route("/", home),
            Route("/health", health),
            Mount(FRONTEND_PATH, FrontendFiles(directory=look.FRONTEND)),
            Mount("/", builder.build()),
        ]
    )
