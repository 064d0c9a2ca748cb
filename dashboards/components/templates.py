"""The Jinja2 environment of dashboards/templates.

Autoescape is on: what a template prints is text unless it is Markup. None and NaN print nothing. A line break between
two tags is no space, so templates can be indented without changing what they say.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup

from dashboards.components import formatting
from dashboards.components.vocabularies import word


class _NoSpaceBetweenTags(Extension):
    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return re.sub(r"(?<=[>}])\n\s*(?=[<{])", "", source)


_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    extensions=[_NoSpaceBetweenTags],
    autoescape=True,
    undefined=StrictUndefined,
    finalize=lambda value: "" if formatting.missing(value) else value,
    auto_reload=False,
)
_environment.filters.update(
    (function.__name__, function)
    for function in (
        formatting.count,
        formatting.of_30s,
        formatting.percent,
        formatting.measured,
        formatting.duration,
        formatting.track_length,
        formatting.day,
        formatting.moment,
    )
)
_environment.globals.update(word=word)


def render(template: str, **values: Any) -> Markup:
    """The HTML of a whole template.

    :param template: file name in dashboards/templates.
    """
    return Markup(_environment.get_template(template).render(values))


@functools.cache
def macros(template: str) -> Any:
    """The template's macros as attributes; called, each returns Markup."""
    return _environment.get_template(template).module
