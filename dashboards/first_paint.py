"""A page's first paint: marimo's HTML carries the finished page, which stands until marimo's own is complete.

A reader sees every number at once, and its controls work as plain form controls that load the page anew. Only when
that is on the screen marimo's scripts and styles are loaded (the document holds them back in a <template>); its page
builds up unseen, and takes the place when it is complete.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards import look
from dashboards.rendering import render

FRONTEND_PATH = "/frontend"
logger = logging.getLogger(__name__)

ROOT = '<div id="root"></div>'
# What marimo's document loads: 200 files that would all come before the first paint.
LOADED = re.compile(
    r'<link\b[^>]*\brel="(?:stylesheet|preload|modulepreload|manifest)"[^>]*>|<script type="module".*?</script>'
)
SCRIPT = (Path(__file__).parent / "first_paint.js").read_text()


class FirstPaint:
    """Wraps a page's marimo app; only its HTML document changes."""

    def __init__(self, app: ASGIApp, page: str) -> None:
        self.app = app
        self.page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith(f"/{self.page}/"):
            await self.app(scope, receive, send)
            return
        # Always the whole document: what it shows is newer than any copy.
        headers = [(name, value) for name, value in scope["headers"] if name != b"if-none-match"]
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app({**scope, "headers": headers}, receive, keep)
        document = b"".join(message.get("body", b"") for message in messages[1:]).decode()
        if messages[0]["status"] == 200 and ROOT in document and (painted := await self._painted(scope)):
            later = "".join(LOADED.findall(document))
            document = LOADED.sub("", document).replace(
                ROOT, f'{painted}{ROOT}<template id="later">{later}</template><script>{SCRIPT}</script>', 1
            )
        body = document.encode()
        kept = [pair for pair in messages[0]["headers"] if pair[0] not in (b"content-length", b"etag")]
        await send({**messages[0], "headers": [*kept, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    async def _painted(self, scope: Scope) -> str:
        parameters = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        try:
            shown = await run_in_threadpool(render, self.page, parameters, "first paint")
        except Exception:  # the page itself says what is wrong
            logger.warning("No first paint of %s", self.page, exc_info=True)
            return ""
        return f'<style>{look.fonts(FRONTEND_PATH)}</style><div id="first">{shown}</div>'
