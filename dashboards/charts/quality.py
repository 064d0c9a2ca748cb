"""Charts of the quality page."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboards.charts.time_axis import spans, stacked, time_axis


def calls(counted: pd.DataFrame) -> alt.Chart:
    """Calls a day, stacked by endpoint."""
    return (
        alt.Chart(stacked(spans(counted, "day", "called_on"), "calls"))
        .mark_rect()
        .encode(
            x=time_axis("day", "from_"),
            x2="to_:T",
            y=alt.Y("low:Q", title="Calls", axis=alt.Axis(tickCount=5)),
            y2="high:Q",
            color=alt.Color("endpoint:N", legend=alt.Legend(columns=2)),
            tooltip=[
                alt.Tooltip("called_on:T", title="Day", format="%a %-d %b %Y"),
                alt.Tooltip("endpoint:N", title="Endpoint"),
                alt.Tooltip("calls:Q", title="Calls"),
            ],
        )
    )
