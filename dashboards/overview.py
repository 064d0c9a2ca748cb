import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Overview · Listening")

with app.setup:
    import marimo as mo
    import pandas as pd

    from dashboards import drawings, listening_data, look, panels, selection


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
    selection.top_of_page("overview", view, widgets)
    return (view,)


@app.cell
def _(view):
    mo.stop(view is None or not view.has_data)
    _now = listening_data.period_totals(view.user_id, view.period)
    _previous = view.period.previous
    _before = listening_data.period_totals(view.user_id, _previous) if _previous else None

    def _compared(name: str) -> str:
        return look.change(_now[name], _before[name] if _before else None, view.before)

    _days = view.period.days
    _of_30s = look.of_30s(_now["plays_30s"])
    look.page_part(
        look.figures(
            [
                look.Figure("Listening time", look.duration(_now["ms_played"]), _compared("ms_played")),
                look.Figure(
                    "Plays", look.count(_now["plays"]), "<br>".join(filter(None, (_compared("plays"), _of_30s)))
                ),
                look.Figure("Artists", look.count(_now["artists"]), _compared("artists")),
                look.Figure("Tracks", look.count(_now["tracks"]), _compared("tracks")),
                look.Figure("New artists", look.count(_now["new_artists"]), _compared("new_artists")),
                look.Figure("Days with music", look.count(_now["active_days"]), f"of {look.count(_days)}"),
                look.Figure(
                    "Streak",
                    f"{look.count(view.listener['current_streak_days'])} days",
                    f"longest {look.count(view.listener['longest_streak_days'])} days",
                ),
            ]
        )
    )
    return


@app.cell
def _(address, view):
    mo.stop(view is None or not view.has_data)
    measure = mo.ui.radio(
        {"plays": "plays", "time": "ms_played"},
        value="time" if address.get("rank") == "ms_played" else "plays",
        inline=True,
        label="Rank by",
        on_change=lambda value: address.set("rank", value),
    )
    return (measure,)


@app.cell
def _(measure, view):
    mo.stop(view is None or not view.has_data)
    since = "the ranking of 4 weeks ago" if view.period.is_all else view.before

    def _ranking(kind: listening_data.Kind, title: str) -> str:
        rows = listening_data.top(view.user_id, kind, view.period, measure=measure.value, limit=10)
        if rows.empty:
            return look.card(title, look.empty("Nothing played in this period."))
        most = rows[measure.value].max()
        names = {"artist": "artist_name", "track": "track_name", "album": "album_name"}
        items = [
            look.Ranked(
                rank=int(row["rank"]),
                name=row[names[kind]],
                by="" if kind == "artist" else row["artist_name"],
                amount=f"{look.count(row['plays'])} plays"
                if measure.value == "plays"
                else look.duration(row["ms_played"]),
                share=row[measure.value] / most,
                previous_rank=None if pd.isna(row["previous_rank"]) else int(row["previous_rank"]),
            )
            for _, row in rows.iterrows()
        ]
        return look.card(title, look.ranking(items, label=title, since=since))

    look.page_part(
        look.block(
            "Most played",
            look.cards(
                _ranking("track", "Tracks"),
                _ranking("artist", "Artists"),
                _ranking("album", "Albums"),
                min_width="19rem",
            ),
            note=f"Arrows: change of rank since {since}",
            control=measure,
        )
    )
    return


@app.cell
def _(view):
    mo.stop(view is None or not view.has_data)
    _end = min(view.today, view.period.end)
    _year = listening_data.days(view.user_id, _end - pd.Timedelta(days=53 * 7).to_pytimedelta(), _end)
    _hours = listening_data.clock(view.user_id, view.period)
    look.page_part(
        look.block(
            "When",
            look.card(
                "Every day of the year",
                drawings.calendar(_year, _end),
                note=f"53 weeks to {look.day(_end)}; the stronger the colour, the more listening",
            ),
        ),
        look.space(),
        look.cards(
            look.card(
                "Listening clock",
                drawings.clock(_hours),
                note="Hours around, Monday inside, Sunday outside",
            ),
            look.card(
                "Hours of the day",
                drawings.hours(_hours),
                note="Hours listened in this period",
            ),
            min_width="22rem",
        ),
    )
    return


@app.cell
def _(view):
    mo.stop(view is None or not view.has_data)

    def _value(row: pd.Series) -> str:
        return look.duration(row["value"]) if row["unit"] == "ms" else f"{look.count(row['value'])} {row['unit']}"

    _records = [
        (
            look.text(row["record"]),
            f'<strong class="nowrap">{_value(row)}</strong>',
            look.text(row["what"]),
            f'<span class="nowrap">{look.day(row["local_date"])}</span>',
        )
        for _, row in listening_data.records(view.user_id).iterrows()
    ]
    _milestones = [
        (f"<strong>{look.count(row.plays)}</strong> plays", look.day(row.local_date))
        for row in listening_data.milestones(view.user_id).head(6).itertuples()
    ]
    _next = panels.next_milestone(view)
    look.page_part(
        look.block(
            "Records and milestones",
            look.cards(
                look.card(
                    "Records", look.table(["Record", "Value", "", "Day"], _records, caption="Best ever, all time")
                ),
                look.card(
                    "Milestones",
                    look.table(["Reached", "On"], _milestones, caption="Plays since the first known one")
                    if _milestones
                    else "",
                    _next,
                ),
                min_width="22rem",
            ),
            note="Over the whole history, whatever the period",
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
