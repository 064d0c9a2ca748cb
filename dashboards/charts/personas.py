"""Charts of the personas page."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboards.charts.time_axis import spans, stacked, time_axis, time_tooltip, with_days


def _persona_colour(labels: list[str], colours: list[str]) -> alt.Color:
    return alt.Color("persona:N", scale=alt.Scale(domain=labels, range=colours), legend=alt.Legend(columns=2))


def persona_shares(time: pd.DataFrame, granularity: str, labels: list[str], colours: list[str]) -> alt.Chart:
    """Each persona's share of the listening time, per bucket."""
    return (
        alt.Chart(stacked(spans(time, granularity), "hours", normalize=True))
        .mark_rect()
        .encode(
            x=time_axis(granularity, "from_"),
            x2="to_:T",
            y=alt.Y(
                "low:Q", title="Share of time", axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1])
            ),
            y2="high:Q",
            color=_persona_colour(labels, colours),
            tooltip=[
                time_tooltip(granularity),
                alt.Tooltip("persona:N", title="Persona"),
                alt.Tooltip("hours:Q", title="Hours", format=",.1f"),
                alt.Tooltip("sessions:Q", title="Sessions"),
            ],
        )
    )


def persona_hours(hours: pd.DataFrame, labels: list[str], colours: list[str]) -> alt.Chart:
    """Sessions by local start hour, one line a persona."""
    full = (
        hours.set_index(["persona", "hour"])["sessions"]
        .reindex(
            pd.MultiIndex.from_product([hours["persona"].unique(), range(24)], names=["persona", "hour"]), fill_value=0
        )
        .reset_index()
    )
    return (
        alt.Chart(full)
        .mark_area(opacity=0.35, line={"strokeWidth": 2}, interpolate="monotone")
        .encode(
            x=alt.X("hour:Q", title="Local start hour", scale=alt.Scale(domain=[0, 23]), axis=alt.Axis(tickCount=8)),
            y=alt.Y("sessions:Q", title="Sessions", stack=None),
            color=_persona_colour(labels, colours),
            tooltip=[
                alt.Tooltip("persona:N", title="Persona"),
                alt.Tooltip("hour:Q", title="Hour"),
                alt.Tooltip("sessions:Q", title="Sessions"),
            ],
        )
    )


_NOT_FEATURES = {"persona_id", "distance", "session_id", "local_date", "start_hour", "starts", "audio_coverage"}


def session_map(points: pd.DataFrame) -> pd.DataFrame:
    """Adds x and y: the first two principal components of the standardised session features.

    Features missing for any session (no audio features) are left out.
    """
    features = points[[name for name in points if name not in _NOT_FEATURES]].astype(float).dropna(axis=1)
    if len(points) < 3 or features.shape[1] < 2:
        return points.assign(x=0.0, y=0.0)
    spread = features.std()
    spread = spread.where(spread > 1e-9 * features.abs().max())  # a constant has no direction to spread in
    standardised = ((features - features.mean()) / spread).dropna(axis=1).to_numpy()
    _, _, components = np.linalg.svd(standardised, full_matrices=False)
    # The sign of a component is arbitrary: make its largest weight positive, so that the map does not flip between
    # runs.
    components = components[:2] * np.sign(components[:2, np.abs(components[:2]).argmax(axis=1)].diagonal())[:, None]
    x, y = (standardised @ components.T).T
    return points.assign(x=x, y=y)


def map_chart(points: pd.DataFrame, labels: list[str], colours: list[str]) -> alt.Chart:
    """The map: one dot a session."""
    axis = alt.Axis(labels=False, ticks=False, domain=False, grid=True, tickCount=5)
    shown = with_days(
        points[["x", "y", "persona", "plays", "minutes", "starts", "unique_artists", "local_date"]], "local_date"
    )
    return (
        alt.Chart(shown)
        .mark_circle(opacity=0.55)
        .encode(
            x=alt.X("x:Q", title=None, axis=axis, scale=alt.Scale(zero=False, padding=10)),
            y=alt.Y("y:Q", title=None, axis=axis, scale=alt.Scale(zero=False, padding=10)),
            size=alt.Size("minutes:Q", legend=None, scale=alt.Scale(range=[12, 160])),
            color=_persona_colour(labels, colours),
            tooltip=[
                alt.Tooltip("persona:N", title="Persona"),
                alt.Tooltip("local_date:T", title="Day", format="%a %-d %b %Y"),
                alt.Tooltip("starts:N", title="Starts"),
                alt.Tooltip("minutes:Q", title="Minutes", format=".0f"),
                alt.Tooltip("plays:Q", title="Plays", format=".0f"),
                alt.Tooltip("unique_artists:Q", title="Artists", format=".0f"),
            ],
        )
    )
