"""Pages rendered on the server: the document marimo serves carries the finished page, which stands until marimo's own
is there.

A reader sees every number at once, and the controls work as plain form controls that load the page anew. Only then are
marimo's scripts and styles loaded (the document holds them back in a <template>). Its page is built unseen behind the
prerendered one and replaces it once complete (prerender.js).
"""

from __future__ import annotations

import importlib
import logging
import re
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.components import theme
from dashboards.components.templates import render as render_template
from dashboards.medium import Medium, rendered_for
from dashboards.pages import PAGES

FRONTEND_PATH = "/frontend"
logger = logging.getLogger(__name__)

ROOT = '<div id="root"></div>'
# What marimo's document loads: 200 files, which would all come before the page can be seen.
LOADED = re.compile(
    r'<link\b[^>]*\brel="(?:stylesheet|preload|modulepreload|manifest)"[^>]*>|<script type="module".*?</script>'
)
SCRIPT = Path(__file__).with_name("prerender.js").read_text()

# marimo swaps the process' __main__ while it runs an app as a script.
_one_at_a_time = threading.Lock()


def render(page: str, parameters: Mapping[str, str], medium: Medium) -> Markup:
    """Run the page's notebook once in this process.

    :param parameters: of the page's address: listener, period, …
    :return: the page's body in the form that the medium needs.
    :raises psycopg.Error, queries.DatabaseNotConfiguredError: the database cannot be read.
    """
    notebook = importlib.import_module(f"dashboards.pages.{page}").app
    with _one_at_a_time, rendered_for(medium, parameters):
        outputs, _ = notebook.run()
    return Markup("".join(output.text for output in outputs if hasattr(output, "text")))


def warm_up() -> None:
    """Render every page once, so that the first reader need not wait for imports."""
    for page in PAGES:
        # Without a database yet there is nothing to prepare; readers will be told what is wrong.
        with suppress(Exception):
            render(page, {}, "prerender")


class Prerender:
    """ASGI middleware around a page's marimo app; changes only its HTML document."""

    def __init__(self, app: ASGIApp, page: str) -> None:
        self.app = app
        self.page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith(f"/{self.page}/"):
            await self.app(scope, receive, send)
            return
        # Always the whole document: the numbers in it may be newer than any copy.
        headers = [(name, value) for name, value in scope["headers"] if name != b"if-none-match"]
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app({**scope, "headers": headers}, receive, keep)
        document = b"".join(message.get("body", b"") for message in messages[1:]).decode()
        if messages[0]["status"] == 200 and ROOT in document and (prerendered := await self._prerendered(scope)):
            deferred = Markup("".join(LOADED.findall(document)))
            body_parts = render_template(
                "prerender.html.j2",
                fonts=theme.fonts(FRONTEND_PATH),
                page=prerendered,
                root=Markup(ROOT),
                deferred=deferred,
                script=Markup(SCRIPT),
            )
            document = LOADED.sub("", document).replace(ROOT, body_parts, 1)
        body = document.encode()
        kept = [pair for pair in messages[0]["headers"] if pair[0] not in (b"content-length", b"etag")]
        await send({**messages[0], "headers": [*kept, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    async def _prerendered(self, scope: Scope) -> Markup | None:
        parameters = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        try:
            return await run_in_threadpool(render, self.page, parameters, "prerender")
        except Exception:  # the page itself says what is wrong
            logger.warning("%s could not be prerendered", self.page, exc_info=True)
            return None
