import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Trends · Listening")

with app.setup:
    import marimo as mo

    from dashboards import charts, queries
    from dashboards.components import blocks, controls
    from dashboards.components.blocks import Figure
    from dashboards.components.formatting import count, duration
    from dashboards.components.years import year_in_review
    from dashboards.pages import opening
    from include.pipeline import SESSION_GAP_MINUTES


@app.cell
def _():
    address, listener = opening.listener_choice()
    return address, listener


@app.cell
def _(address, listener):
    period, own_range = opening.period_choice(address, listener.value)
    return own_range, period


@app.cell
def _(address, listener, own_range, period):
    view = opening.view("trends", address, listener, period, own_range)
    view.header()
    return (view,)


@app.cell
def _(address, view):
    mo.stop(not view.has_data)
    _names = {"days": "day", "weeks": "week", "months": "month", "quarters": "quarter", "years": "year"}
    _fitting = "day" if view.period.days <= 62 else "week" if view.period.days <= 400 else "month"
    granularity = controls.choice(address, "by", _names, label="By", default=_fitting)
    return (granularity,)


@app.cell
def _(granularity, view):
    buckets = queries.trend(view.user_id, view.period, granularity.value)
    buckets = charts.with_days(buckets, "bucket").assign(hours=lambda frame: frame["ms_played"] / 3_600_000)
    blocks.page_part(
        blocks.block(
            "Listening",
            blocks.card(
                "Time listened",
                charts.figure(
                    charts.trends.bars(buckets, "hours", "Hours", granularity.value),
                    label=f"Hours of listening per {granularity.value}",
                    height=260,
                )
                if len(buckets)
                else blocks.empty("Nothing played in this period."),
                note=f"Hours per {granularity.value}; the line is the mean",
            ),
            control=granularity,
        )
    )
    return (buckets,)


@app.cell
def _(buckets, granularity):
    mo.stop(buckets.empty)
    blocks.page_part(
        blocks.space(),
        blocks.cards(
            blocks.card(
                "Discovery",
                charts.figure(
                    charts.trends.two_lines(
                        buckets, {"new_artists": "New artists", "new_tracks": "New tracks"}, granularity.value
                    ),
                    label=f"New artists and new tracks per {granularity.value}",
                    columns=3,
                ),
                note=f"Played for the first time, per {granularity.value}",
            ),
            blocks.card(
                "Diversity",
                charts.figure(
                    charts.trends.line(buckets, "effective_artists", "Artists", granularity.value),
                    label=f"Effective number of artists of each {granularity.value}",
                    columns=3,
                ),
                note=f"Effective number of artists in the plays of each {granularity.value}: 1 / Σ share²",
            ),
            blocks.card(
                "Skips",
                charts.figure(
                    charts.trends.line(buckets, "skip_rate", "Skipped", granularity.value, percent=True),
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
    _artists = list(queries.top(view.user_id, "artist", view.period)["artist_name"])
    _plays = charts.with_days(queries.artist_months(view.user_id, _artists, view.period, granularity.value), "bucket")
    _movers = [
        (row.artist_name, count(row.plays), count(row.previous_plays), blocks.signed(row.change))
        for row in queries.movers(view.user_id, view.period).itertuples()
    ]
    blocks.page_part(
        blocks.block(
            "Rise and fall",
            blocks.cards(
                blocks.card(
                    "The most played artists",
                    charts.figure(
                        charts.trends.artist_streams(_plays, _artists, granularity.value),
                        label=f"Plays per {granularity.value} of the most played artists",
                        height=38 * len(_artists) + 20,
                        columns=2,
                    )
                    if _artists
                    else blocks.empty("Nothing played in this period."),
                    note=f"Stronger colour: more plays in that {granularity.value}",
                ),
                blocks.card(
                    "Movers",
                    blocks.table(
                        ["Artist", "Plays", "Before", "Change"],
                        _movers,
                        caption=f"Compared with {view.before}",
                        numbers=[1, 2, 3],
                    )
                    if _movers
                    else blocks.empty(
                        "All time has no earlier period to compare with." if view.period.is_all else "No change."
                    ),
                ),
                min_width="22rem",
            ),
        )
    )
    return


@app.cell
def _(view):
    mo.stop(not view.has_data)
    _totals = queries.session_totals(view.user_id, view.period)
    _lengths = queries.session_lengths(view.user_id, view.period)
    blocks.page_part(
        blocks.block(
            "Sessions",
            blocks.figures(
                Figure("Sessions", count(_totals["sessions"])),
                Figure("Median length", duration(_totals["median_ms"])),
                Figure("Longest", duration(_totals["longest_ms"])),
                Figure("Plays a session", f"{_totals['mean_plays']:.1f}"),
            ),
            blocks.space(),
            blocks.card(
                "When sessions start, and how long they last",
                charts.figure(
                    charts.trends.session_hours(_lengths), label="Sessions by start hour and length", height=240
                )
                if len(_lengths)
                else blocks.empty("No sessions in this period."),
                note="Local start hour",
            ),
            note=f"A session ends after more than {SESSION_GAP_MINUTES} minutes of silence",
        )
    )
    return


@app.cell
def _(view):
    mo.stop(not view.has_data)
    _reviews = []
    for _year in queries.years(view.user_id).itertuples():
        _period = queries.period_of(str(_year.year), *view.bounds)
        _tops = {kind: queries.top(view.user_id, kind, _period, limit=3) for kind in queries.KINDS}
        _reviews.append(year_in_review(_year, _tops, is_open=_year.year == view.bounds[1].year))
    blocks.page_part(blocks.block("Year in review", *_reviews))
    return


@app.cell
def _(view):
    view.footer()
    return


if __name__ == "__main__":
    app.run()
