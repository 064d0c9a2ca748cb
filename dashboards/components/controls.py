"""Controls whose choice the page's address keeps, and their HTML in each medium."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import Any

import marimo as mo
from markupsafe import Markup, escape

from dashboards.components.templates import macros
from dashboards.medium import medium

_controls = macros("controls.html.j2")
radio = partial(mo.ui.radio, inline=True)


def choice(
    address: Any,
    name: str,
    options: dict[str, str],
    *,
    label: str,
    default: str | None = None,
    spelled: Callable[[str], str] = str,
    make: Callable[..., Any] = mo.ui.dropdown,
) -> Any:
    """A control that sets the address' parameter `name`.

    :param options: words → value. :param default: the value chosen where the address names none of the options; without
        it the first. :param spelled: how the address spells a value. :param make: mo.ui.dropdown or `radio`.
    """
    wanted = address.get(name)
    chosen = wanted if wanted in options.values() else default
    words = next((words for words, value in options.items() if value == chosen), next(iter(options), None))
    return make(options, value=words, label=label, on_change=lambda value: address.set(name, spelled(value)))


def as_html(part: Any) -> Markup:
    """The part as HTML: Markup as it is, text escaped, a marimo control in the form that the medium needs; nothing in
    a file, where it could not work."""
    if isinstance(part, str):
        return escape(part)
    if medium() == "live":
        return Markup(mo.as_html(part).text)
    return _plain_control(part) if medium() == "prerender" else Markup()


def _plain_control(element: Any) -> Markup:
    """The control as the browser's own."""
    label = element._args.label
    chosen = element._value  # .value is refused in the cell that makes the control
    name = label.split()[0].lower()
    if isinstance(element, mo.ui.date_range):
        return _controls.date_range(label, *chosen, element.start, element.stop)
    make = _controls.radio if isinstance(element, mo.ui.radio) else _controls.select
    return make(name, label, element.options, chosen)


def download(label: str, file_name: str, mimetype: str, content: bytes) -> Markup:
    """A button that saves a file."""
    if medium() == "live":
        return Markup(mo.as_html(mo.download(content, file_name, mimetype=mimetype, label=label)).text)
    data = base64.b64encode(content).decode()
    return _controls.download(label, file_name, f"data:{mimetype};base64,{data}")
