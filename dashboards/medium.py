"""What a page is rendered for, and the parameters of its address where no browser holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

# live: marimo in a browser. prerender: the document that stands until marimo is there, with plain form controls and
# room where the charts will be. file: a report; charts are SVG, there are no controls, links lead to files.
Medium = Literal["live", "prerender", "file"]

_medium: ContextVar[Medium] = ContextVar("medium", default="live")
_address: ContextVar[dict[str, str] | None] = ContextVar("address", default=None)


def medium() -> Medium:
    """The medium of the page being rendered."""
    return _medium.get()


def address_parameters() -> dict[str, str] | None:
    """The parameters the page is rendered with; None where a browser's address holds them."""
    return _address.get()


@contextmanager
def rendered_for(medium: Medium, parameters: Mapping[str, str]) -> Iterator[None]:
    """Within the block pages are rendered for this medium with these parameters."""
    tokens = _medium.set(medium), _address.set(dict(parameters))
    try:
        yield
    finally:
        _medium.reset(tokens[0])
        _address.reset(tokens[1])
