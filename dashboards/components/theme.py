"""Colours, fonts and style sheet.

Colours are CSS custom properties of theme.css, so that one rendering serves light and dark.
"""

from __future__ import annotations

import functools
from pathlib import Path
from urllib.parse import quote

import marimo as mo
from markupsafe import Markup

from dashboards.components.templates import macros, render

PERSONA_COLOURS = [f"var(--tone-p{number})" for number in range(8)]
# marimo's own scripts, styles and fonts.
FRONTEND = Path(mo.__file__).parent / "_static"
# Family and weight → marimo's files.
_FONTS = {("Lora", "400 700"): "Lora-*", ("PT Sans", "400"): "PTSans-Regular*", ("PT Sans", "700"): "PTSans-Bold*"}


@functools.cache
def fonts(path: str) -> Markup:
    """@font-face rules for the fonts that marimo brings along.

    :param path: where marimo's frontend is served.
    """
    return Markup("").join(
        Markup('@font-face{{font-family:"{}";font-weight:{};font-display:swap;src:url({}) format("woff2")}}').format(
            family, weight, f"{path}/assets/{file.name}"
        )
        for (family, weight), pattern in _FONTS.items()
        for file in (FRONTEND / "assets").glob(f"{pattern}.woff2")
    )


def head() -> Markup:
    """What every page carries in its <head>: icon, style sheet, and the script that runs before marimo's own."""
    # An icon knows nothing of the page's style sheet: its colours are written out.
    icon = str(macros("svg_charts.html.j2").record()).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    for token, colour in (("ink", "#14211d"), ("paper", "#f3f5f1"), ("accent", "#0b6b58")):
        icon = icon.replace(f"var(--tone-{token})", colour)
    style = Path(__file__).with_name("theme.css").read_text()
    return render("head.html.j2", icon=quote(icon), style=Markup(style))
