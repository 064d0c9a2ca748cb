"""A page as HTML without a browser: what its notebook shows, run once in this process."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from contextlib import suppress

from dashboards import look, selection

# marimo swaps the process' __main__ while it runs an app as a script.
_one_at_a_time = threading.Lock()


def render(page: str, parameters: Mapping[str, str], medium: look.Medium) -> str:
    """The page's body for the address' parameters (listener, period, …), in the form that the medium needs.

    :raises psycopg.Error, listening_data.DatabaseNotConfiguredError: the database cannot be read.
    """
    notebook = importlib.import_module(f"dashboards.{page}").app
    with _one_at_a_time:
        tokens = look.MEDIUM.set(medium), selection.ADDRESS.set(dict(parameters))
        try:
            outputs, _ = notebook.run()
        finally:
            look.MEDIUM.reset(tokens[0])
            selection.ADDRESS.reset(tokens[1])
    return "".join(output.text for output in outputs if hasattr(output, "text"))


def warm_up() -> None:
    """Render every page once, for nobody: what pages import and prepare is then there for the first reader."""
    for page in look.PAGES:
        # Without a database yet there is nothing to prepare; readers will be told what is wrong.
        with suppress(Exception):
            render(page, {}, "first paint")
