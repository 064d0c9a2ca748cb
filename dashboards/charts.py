"""The dashboards' Altair charts: frames of listening_data in, charts out; look.chart() puts them into a card."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dashboards import listening_data

# How an axis and a tooltip spell a bucket's first day.
_TIME_FORMATS = {
    "day": ("%-d %b", "%a %-d %b %Y"),
    "week": ("%-d %b", "week of %-d %b %Y"),
    "month": ("%b %Y", "%B %Y"),
    "quarter": ("%b %Y", "quarter from %B %Y"),
    "year": ("%Y", "%Y"),
}
SCORE_PARTS = {
    "score_persona": ("fits the persona", "var(--tone-p0)"),
    "score_history": ("own history", "var(--tone-p3)"),
    "score_cooccurrence": ("heard together", "var(--tone-p2)"),
    "score_freshness": ("freshness", "var(--tone-p1)"),
}


def with_days(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Dates as timestamps, which Altair needs for a time axis."""
    return frame.assign(**{column: pd.to_datetime(frame[column])})


_OFFSETS = {
    "day": pd.DateOffset(days=1),
    "week": pd.DateOffset(weeks=1),
    "month": pd.DateOffset(months=1),
    "quarter": pd.DateOffset(months=3),
    "year": pd.DateOffset(years=1),
}


def _spans(frame: pd.DataFrame, granularity: str, column: str = "bucket") -> pd.DataFrame:
    """Adds from_ and to_, between which a bucket's bar stands: its span less a gap, so that bars never touch an
    axis."""
    end = frame[column] + _OFFSETS[granularity]
    gap = (end - frame[column]) * 0.1
    return frame.assign(from_=frame[column] + gap, to_=end - gap)


def _stacked(frame: pd.DataFrame, value: str, *, normalize: bool = False) -> pd.DataFrame:
    """Adds low and high: each row's place in the stack of its bucket (shares of 1 when normalised)."""
    stacks = frame.groupby("from_")[value]
    high = stacks.cumsum()
    total = stacks.transform("sum").where(lambda sums: sums > 0) if normalize else 1
    return frame.assign(low=(high - frame[value]) / total, high=high / total)


def _span(granularity: str) -> alt.X:
    axis_format, _ = _TIME_FORMATS[granularity]
    return alt.X("from_:T", title=None, axis=alt.Axis(format=axis_format, tickCount=7))


def _time(granularity: str, column: str = "bucket") -> alt.X:
    axis_format, _ = _TIME_FORMATS[granularity]
    return alt.X(f"{column}:T", title=None, axis=alt.Axis(format=axis_format, tickCount=7))


def _time_tooltip(granularity: str, column: str = "bucket") -> alt.Tooltip:
    return alt.Tooltip(f"{column}:T", title="When", format=_TIME_FORMATS[granularity][1])


def bars(buckets: pd.DataFrame, column: str, title: str, granularity: str) -> alt.TopLevelMixin:
    """One bar a bucket and the mean as a line."""
    base = alt.Chart(_spans(buckets, granularity))
    drawn = base.mark_rect(color="var(--tone-accent)").encode(
        x=_span(granularity),
        x2="to_:T",
        y2=alt.datum(0),
        y=alt.Y(f"{column}:Q", title=title, axis=alt.Axis(tickCount=5)),
        tooltip=[
            _time_tooltip(granularity),
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
            x=_time(granularity),
            y=alt.Y(
                f"{column}:Q",
                title=title,
                axis=alt.Axis(format=number if percent else "~s", tickCount=5),
                scale=alt.Scale(zero=True),
            ),
            tooltip=[_time_tooltip(granularity), alt.Tooltip(f"{column}:Q", title=title, format=number)],
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
            x=_time(granularity),
            y=alt.Y("number:Q", title=None, axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                "what:N", scale=alt.Scale(domain=list(columns.values()), range=["var(--tone-p1)", "var(--tone-p0)"])
            ),
            tooltip=[
                _time_tooltip(granularity),
                alt.Tooltip("what:N", title="What"),
                alt.Tooltip("number:Q", title="Number", format=","),
            ],
        )
    )


def artist_streams(months: pd.DataFrame, artists: list[str], granularity: str) -> alt.Chart:
    """A heat row for each artist: the stronger the colour, the more plays in that bucket."""
    return (
        alt.Chart(_spans(months, granularity))
        .mark_rect(color="var(--tone-accent)", cornerRadius=2)
        .encode(
            x=_span(granularity),
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
                _time_tooltip(granularity),
                alt.Tooltip("plays:Q", title="Plays", format=","),
            ],
        )
    )


def session_hours(lengths: pd.DataFrame) -> alt.Chart:
    """Sessions by start hour, stacked by length class."""
    order = listening_data.SESSION_LENGTHS
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


def _persona_colour(labels: list[str], colours: list[str]) -> alt.Color:
    return alt.Color("persona:N", scale=alt.Scale(domain=labels, range=colours), legend=alt.Legend(columns=2))


def persona_shares(time: pd.DataFrame, labels: list[str], colours: list[str], granularity: str) -> alt.Chart:
    """Each persona's share of the listening time, per bucket."""
    return (
        alt.Chart(_stacked(_spans(time, granularity), "hours", normalize=True))
        .mark_rect()
        .encode(
            x=_span(granularity),
            x2="to_:T",
            y=alt.Y(
                "low:Q", title="Share of time", axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domain=[0, 1])
            ),
            y2="high:Q",
            color=_persona_colour(labels, colours),
            tooltip=[
                _time_tooltip(granularity),
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


def calls(counted: pd.DataFrame) -> alt.Chart:
    """Calls a day, stacked by endpoint."""
    return (
        alt.Chart(_stacked(_spans(counted, "day", "called_on"), "calls"))
        .mark_rect()
        .encode(
            x=_span("day"),
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
