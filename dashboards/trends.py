import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Trends · Listening")

with app.setup:
    import marimo as mo

    from dashboards import charts, listening_data, look, panels, selection


@app.cell
def _():
    address = selection.read_address()
    listener = selection.listener_choice(address)
    return address, listener


@app.cell
def _(address, listener):
    period = selection.period_choice(address, listener.value)
    own_range = selection.range_choice(address, listener.value)
    return own_range, period


@app.cell
def _(address, listener, own_range, period):
    view = selection.view(address, listener.value, period.value, own_range.value)
    widgets = [listener, period, own_range] if period.value == selection.CUSTOM else [listener, period]
    selection.top_of_page("trends", view, widgets)
    return (view,)


@app.cell
def _(address, view):
    mo.stop(view is None or not view.has_data)
    _names = {"days": "day", "weeks": "week", "months": "month", "quarters": "quarter", "years": "year"}
    _fitting = "day" if view.period.days <= 62 else "week" if view.period.days <= 400 else "month"
    _wanted = address.get("by")
    _chosen = _wanted if _wanted in _names.values() else _fitting
    granularity = mo.ui.dropdown(
        _names,
        value=next(label for label, value in _names.items() if value == _chosen),
        label="By",
        on_change=lambda value: address.set("by", value),
    )
    return (granularity,)


@app.cell
def _(granularity, view):
    mo.stop(view is None or not view.has_data)
    buckets = listening_data.trend(view.user_id, view.period, granularity.value)
    buckets = charts.with_days(buckets, "bucket").assign(hours=lambda frame: frame["ms_played"] / 3_600_000)
    look.page_part(
        look.block(
            "Listening",
            look.card(
                "Time listened",
                look.chart(
                    charts.bars(buckets, "hours", "Hours", granularity.value),
                    label=f"Hours of listening per {granularity.value}",
                    height=260,
                )
                if len(buckets)
                else look.empty("Nothing played in this period."),
                note=f"Hours per {granularity.value}; the line is the mean",
            ),
            control=granularity,
        )
    )
    return (buckets,)


@app.cell
def _(buckets, granularity, view):
    mo.stop(view is None or not view.has_data or buckets.empty)
    look.page_part(
        look.space(),
        look.cards(
            look.card(
                "Discovery",
                look.chart(
                    charts.two_lines(
                        buckets, {"new_artists": "New artists", "new_tracks": "New tracks"}, granularity.value
                    ),
                    label=f"New artists and new tracks per {granularity.value}",
                    columns=3,
                ),
                note=f"First plays ever, per {granularity.value}",
            ),
            look.card(
                "Diversity",
                look.chart(
                    charts.line(buckets, "effective_artists", "Artists", granularity.value),
                    label=f"Effective number of artists of each {granularity.value}",
                    columns=3,
                ),
                note=f"Effective number of artists in the plays of each {granularity.value}: 1 / Σ share²",
            ),
            look.card(
                "Skips",
                look.chart(
                    charts.line(buckets, "skip_rate", "Skipped", granularity.value, percent=True),
                    label="Share of plays that were skipped",
                    columns=3,
                ),
                note="Skips / plays known to be skipped or heard",
            ),
            min_width="21rem",
        ),
    )
    return


@app.cell
def _(granularity, view):
    mo.stop(view is None or not view.has_data)
    _top = listening_data.top(view.user_id, "artist", view.period, limit=10)
    _artists = list(_top["artist_name"])
    _months = charts.with_days(
        listening_data.artist_months(view.user_id, _artists, view.period, granularity.value), "bucket"
    )
    _movers = listening_data.movers(view.user_id, view.period)
    _rows = [
        (
            look.text(row.artist_name),
            look.count(row.plays),
            look.count(row.previous_plays),
            panels.signed(row.change),
        )
        for row in _movers.itertuples()
    ]
    look.page_part(
        look.block(
            "Rise and fall",
            look.cards(
                look.card(
                    "The most played artists",
                    look.chart(
                        charts.artist_streams(_months, _artists, granularity.value),
                        label=f"Plays per {granularity.value} of the most played artists",
                        height=38 * len(_artists) + 20,
                        columns=2,
                    )
                    if _artists
                    else look.empty("Nothing played in this period."),
                    note=f"Stronger colour: more plays in that {granularity.value}",
                ),
                look.card(
                    "Movers",
                    look.table(
                        ["Artist", "Plays", "Before", "Change"],
                        _rows,
                        caption=f"Against {view.before}",
                        numbers=[1, 2, 3],
                    )
                    if _rows
                    else look.empty(
                        "All time has nothing before it to compare with." if view.period.is_all else "No change."
                    ),
                ),
                min_width="22rem",
            ),
        )
    )
    return


@app.cell
def _(view):
    mo.stop(view is None or not view.has_data)
    _totals = listening_data.session_totals(view.user_id, view.period)
    _lengths = listening_data.session_lengths(view.user_id, view.period)
    look.page_part(
        look.block(
            "Sessions",
            look.figures(
                [
                    look.Figure("Sessions", look.count(_totals["sessions"])),
                    look.Figure("Median length", look.duration(_totals["median_ms"])),
                    look.Figure("Longest", look.duration(_totals["longest_ms"])),
                    look.Figure("Plays a session", f"{_totals['mean_plays']:.1f}"),
                ]
            ),
            look.space(),
            look.card(
                "When sessions start, and how long they last",
                look.chart(charts.session_hours(_lengths), label="Sessions by start hour and length", height=240)
                if len(_lengths)
                else look.empty("No session in this period."),
                note="Local start hour",
            ),
            note="A session ends after more than 30 minutes of silence",
        )
    )
    return


@app.cell
def _(view):
    mo.stop(view is None or not view.has_data)
    look.page_part(
        look.block(
            "Year in review",
            *[panels.year_in_review(view, year) for _, year in listening_data.years(view.user_id).iterrows()],
        ),
    )
    return


@app.cell
def _(view):
    mo.stop(view is None)
    look.page_part(panels.colophon(view))
    return


if __name__ == "__main__":
    app.run()
