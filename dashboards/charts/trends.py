"""Charts of the trends page: frames of dashboards.queries in, charts out; figure() puts them into a page."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dashboards import queries
from dashboards.charts.time_axis import spans, time_axis, time_tooltip


def bars(buckets: pd.DataFrame, column: str, title: str, granularity: str) -> alt.TopLevelMixin:
    """One bar a bucket and the mean as a line."""
    base = alt.Chart(spans(buckets, granularity))
    drawn = base.mark_rect(color="var(--tone-accent)").encode(
        x=time_axis(granularity, "from_"),
        x2="to_:T",
        y2=alt.datum(0),
        y=alt.Y(f"{column}:Q", title=title, axis=alt.Axis(tickCount=5)),
        tooltip=[
            time_tooltip(granularity),
            alt.Tooltip(f"{column}:Q", title=title, format=",.1f"),
            alt.Tooltip("plays:Q", title="Plays", format=","),
            alt.Tooltip("plays_30s:Q", title="of 30 s or more", format=","),
            alt.Tooltip("active_days:Q", title="Days with music"),
        ],
    )
    mean = base.mark_rule(color="var(--tone-amber)", strokeDash=[5, 4], strokeWidth=1.5).encode(
        y=alt.Y(f"mean({column}):Q", title=title),
        tooltip=[alt.Tooltip(f"mean({column}):Q", title=f"Mean {title.lower()}", format=",.1f")],
    )
    return alt.layer(drawn, mean)


def line(buckets: pd.DataFrame, column: str, title: str, granularity: str, *, percent: bool = False) -> alt.Chart:
    """One value over time."""
    number = ".0%" if percent else ",.1f"
    return (
        alt.Chart(with_skip_rate(buckets))
        .mark_line(point=alt.OverlayMarkDef(size=22, color="var(--tone-accent)", filled=True))
        .encode(
            x=time_axis(granularity),
            y=alt.Y(
                f"{column}:Q",
                title=title,
                axis=alt.Axis(format=number if percent else "~s", tickCount=5),
                scale=alt.Scale(zero=True),
            ),
            tooltip=[time_tooltip(granularity), alt.Tooltip(f"{column}:Q", title=title, format=number)],
        )
    )


def with_skip_rate(buckets: pd.DataFrame) -> pd.DataFrame:
    """Adds skip_rate: skips among the plays of which it is known whether they were skipped; none known, none shown."""
    known = buckets["skips"] + buckets["heard"]
    return buckets.assign(skip_rate=buckets["skips"] / known.where(known > 0))


def two_lines(buckets: pd.DataFrame, columns: dict[str, str], granularity: str) -> alt.Chart:
    """Several counts over time, told apart by colour and legend."""
    long = buckets.melt("bucket", list(columns), "what", "number").assign(what=lambda frame: frame["what"].map(columns))
    return (
        alt.Chart(long)
        .mark_line()
        .encode(
            x=time_axis(granularity),
            y=alt.Y("number:Q", title=None, axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                "what:N", scale=alt.Scale(domain=list(columns.values()), range=["var(--tone-p1)", "var(--tone-p0)"])
            ),
            tooltip=[
                time_tooltip(granularity),
                alt.Tooltip("what:N", title="What"),
                alt.Tooltip("number:Q", title="Number", format=","),
            ],
        )
    )


def artist_streams(months: pd.DataFrame, artists: list[str], granularity: str) -> alt.Chart:
    """A heat row for each artist: the stronger the colour, the more plays in that bucket."""
    return (
        alt.Chart(spans(months, granularity))
        .mark_rect(color="var(--tone-accent)", cornerRadius=2)
        .encode(
            x=time_axis(granularity, "from_"),
            x2="to_:T",
            y=alt.Y(
                "artist_name:N",
                sort=artists,
                title=None,
                scale=alt.Scale(paddingInner=0.25),
                axis=alt.Axis(labelLimit=130, labelColor="var(--tone-ink)", domain=False, ticks=False),
            ),
            opacity=alt.Opacity("plays:Q", scale=alt.Scale(type="sqrt", range=[0.08, 1], zero=True), legend=None),
            tooltip=[
                alt.Tooltip("artist_name:N", title="Artist"),
                time_tooltip(granularity),
                alt.Tooltip("plays:Q", title="Plays", format=","),
            ],
        )
    )


def session_hours(lengths: pd.DataFrame) -> alt.Chart:
    """Sessions by start hour, stacked by length class."""
    order = queries.SESSION_LENGTHS
    return (
        alt.Chart(lengths.assign(place=lengths["length"].map(order.index)))
        .mark_bar()
        .encode(
            x=alt.X(
                "hour:O", title="Local start hour", scale=alt.Scale(domain=list(range(24))), axis=alt.Axis(labelAngle=0)
            ),
            y=alt.Y("sessions:Q", title="Sessions"),
            color=alt.Color(
                "length:N",
                scale=alt.Scale(
                    domain=order, range=["var(--tone-p6)", "var(--tone-p3)", "var(--tone-p0)", "var(--tone-p1)"]
                ),
                legend=alt.Legend(columns=2),
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("hour:O", title="Starts at"),
                alt.Tooltip("length:N", title="Length"),
                alt.Tooltip("sessions:Q", title="Sessions"),
                alt.Tooltip("minutes:Q", title="Mean minutes", format=".0f"),
            ],
        )
    )
