"""Altair charts in a page: their theme, and the HTML around them."""

from __future__ import annotations

import altair as alt
import marimo as mo
from markupsafe import Markup

from dashboards.components.templates import macros
from dashboards.components.theme import PERSONA_COLOURS
from dashboards.medium import medium

_figure = macros("figure.html.j2")


@alt.theme.register("listening", enable=True)
def _theme() -> alt.theme.ThemeConfig:
    axis: alt.theme.AxisConfigKwds = {
        "labelColor": "var(--tone-muted)",
        "titleColor": "var(--tone-muted)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
        "labelFont": "PT Sans",
        "titleFont": "PT Sans",
        "gridColor": "var(--tone-line)",
        "domainColor": "var(--tone-line)",
        "tickColor": "var(--tone-line)",
        "labelPadding": 6,
        "titlePadding": 10,
        "labelOverlap": True,
    }
    return {
        "config": {
            "background": "transparent",
            "font": "PT Sans",
            "view": {"stroke": None},
            "axis": axis,
            "axisX": {"grid": False},
            "axisY": {"domain": False, "ticks": False},
            "legend": {
                "labelColor": "var(--tone-ink)",
                "titleColor": "var(--tone-muted)",
                "labelFont": "PT Sans",
                "labelFontSize": 12,
                "orient": "top",
                "title": None,
                "symbolType": "circle",
            },
            "bar": {"color": "var(--tone-accent)", "cornerRadiusEnd": 2},
            "line": {"color": "var(--tone-accent)", "strokeWidth": 2},
            "area": {"color": "var(--tone-accent)"},
            "range": {"category": PERSONA_COLOURS},
        }
    }


AXIS_HEIGHT = 38  # what an axis' labels add to a chart's height


def figure(chart: alt.TopLevelMixin, *, label: str, height: int = 220, columns: int = 1) -> Markup:
    """A chart as wide as its card.

    :param label: what it shows, in words, for those who do not see it. :param height: in pixels.
    :param columns: how many such cards stand side by side on a wide screen.
    """
    chart = chart.properties(
        width="container",
        height=height,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        usermeta={"embedOptions": {"renderer": "svg", "actions": False}},
    )
    if medium() == "prerender":
        return _figure.placeholder(label, height + AXIS_HEIGHT)
    if medium() == "live":
        return _figure.live(label, Markup(mo.as_html(chart).text))
    return _figure.drawn(label, _svg(chart, 1140 // columns - 50))


def _svg(chart: alt.TopLevelMixin, width: int) -> Markup:
    import vl_convert

    svg = vl_convert.vegalite_to_svg(chart.properties(width=width).to_dict())
    style = f"width:100%;height:auto;min-width:{min(width, 420)}px"
    return Markup(svg.replace("<svg ", f'<svg style="{style}" ', 1))
