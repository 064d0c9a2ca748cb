import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Overview · Listening")

with app.setup:
    import datetime as dt

    import marimo as mo

    from dashboards import queries
    from dashboards.charts import svg_charts
    from dashboards.components import blocks, controls, milestones
    from dashboards.components.blocks import Figure
    from dashboards.components.formatting import count, day, duration, of_30s
    from dashboards.components.rankings import ranking
    from dashboards.pages import opening


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
    view = opening.view("overview", address, listener, period, own_range)
    view.header()
    return (view,)


@app.cell
def _(view):
    mo.stop(not view.has_data)
    _now = queries.period_totals(view.user_id, view.period)
    _previous = view.period.previous
    _before = queries.period_totals(view.user_id, _previous) if _previous else None

    def _compared(name: str) -> str:
        return blocks.change(_now[name], _before[name] if _before else None, view.before)

    blocks.page_part(
        blocks.figures(
            Figure("Listening time", duration(_now["ms_played"]), _compared("ms_played")),
            Figure("Plays", count(_now["plays"]), blocks.lines(_compared("plays"), of_30s(_now["plays_30s"]))),
            Figure("Artists", count(_now["artists"]), _compared("artists")),
            Figure("Tracks", count(_now["tracks"]), _compared("tracks")),
            Figure("New artists", count(_now["new_artists"]), _compared("new_artists")),
            Figure("Days with music", count(_now["active_days"]), f"of {count(view.period.days)}"),
            Figure(
                "Streak",
                f"{count(view.listener['current_streak_days'])} days",
                f"longest {count(view.listener['longest_streak_days'])} days",
            ),
        )
    )
    return


@app.cell
def _(address, view):
    mo.stop(not view.has_data)
    measure = controls.choice(
        address, "rank", {"plays": "plays", "time": "ms_played"}, label="Rank by", make=controls.radio
    )
    return (measure,)


@app.cell
def _(measure, view):
    _since = "the ranking of 4 weeks ago" if view.period.is_all else view.before

    def _ranking(kind: queries.Kind, title: str):
        rows = queries.top(view.user_id, kind, view.period, measure=measure.value)
        if rows.empty:
            return blocks.card(title, blocks.empty("Nothing played in this period."))
        return blocks.card(title, ranking(rows, kind, measure=measure.value, label=title, since=_since))

    blocks.page_part(
        blocks.block(
            "Most played",
            blocks.cards(
                _ranking("track", "Tracks"),
                _ranking("artist", "Artists"),
                _ranking("album", "Albums"),
                min_width="19rem",
            ),
            note=f"Arrows: change of rank since {_since}",
            control=measure,
        )
    )
    return


@app.cell
def _(view):
    mo.stop(not view.has_data)
    _end = min(view.today, view.period.end)
    _year = queries.days(view.user_id, _end - dt.timedelta(weeks=53), _end)
    _hours = queries.clock(view.user_id, view.period)
    blocks.page_part(
        blocks.block(
            "When",
            blocks.card(
                "Every day of the year",
                svg_charts.calendar(_year, _end),
                note=f"53 weeks to {day(_end)}; a stronger colour means more listening",
            ),
        ),
        blocks.space(),
        blocks.cards(
            blocks.card(
                "Listening clock",
                svg_charts.clock(_hours),
                note="Hours run around the circle; Monday is the innermost ring",
            ),
            blocks.card("Hours of the day", svg_charts.hours(_hours), note="Hours listened in this period"),
            min_width="22rem",
        ),
    )
    return


@app.cell
def _(view):
    mo.stop(not view.has_data)
    _records = queries.records(view.user_id)
    _milestones = queries.milestones(view.user_id).head(6)
    blocks.page_part(
        blocks.block(
            "Records and milestones",
            blocks.cards(
                blocks.card("Records", milestones.records_table(_records)),
                blocks.card(
                    "Milestones",
                    milestones.milestones_table(_milestones),
                    milestones.next_milestone(view.listener["plays"], view.listener["plays_28d"], view.today),
                ),
                min_width="22rem",
            ),
            note="Of the whole history, not just this period",
        ),
    )
    return


@app.cell
def _(view):
    view.footer()
    return


if __name__ == "__main__":
    app.run()
