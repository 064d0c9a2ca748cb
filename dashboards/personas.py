import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Personas · Listening")

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
    selection.top_of_page("personas", view, widgets)
    return (view,)


@app.cell
def _(view):
    mo.stop(view is None or not view.has_data)
    people = listening_data.personas(view.user_id)
    colours = {
        int(persona): look.PERSONA_COLOURS[place % 8] for place, persona in enumerate(sorted(people["persona_id"]))
    }
    _model = listening_data.current_model(view.user_id)
    look.page_part(
        look.block(
            "Who is listening",
            look.cards(
                *[
                    panels.persona_card(row, colours[int(row["persona_id"])])
                    for _, row in people[people["is_active"]].iterrows()
                ],
                min_width="20rem" if len(people) % 3 == 0 else "26rem",
            ),
            note=panels.model_note(_model),
        )
        if len(people)
        else look.notice(
            (
                "No personas yet: they need enough sessions to cluster. They appear after the first runs with a "
                "longer history."
            ),
            tone="",
        )
    )
    return colours, people


@app.cell
def _(colours, people, view):
    mo.stop(view is None or not view.has_data or people.empty)
    _days = view.period.days
    _granularity: listening_data.Granularity = "week" if _days <= 200 else "month" if _days <= 1600 else "quarter"
    _labels = dict(zip(people["persona_id"], people["label"], strict=True))
    _time = charts.with_days(listening_data.persona_time(view.user_id, view.period, _granularity), "bucket")
    _time = _time.assign(hours=_time["ms_played"] / 3_600_000, persona=_time["persona_id"].map(_labels))
    _hours = listening_data.persona_hours(view.user_id, view.period)
    _hours = _hours.assign(persona=_hours["persona_id"].map(_labels))
    _domain = [_labels[key] for key in colours]
    look.page_part(
        look.block(
            "How the time divides",
            look.cards(
                look.card(
                    "Share of listening time",
                    look.chart(
                        charts.persona_shares(_time, _domain, list(colours.values()), _granularity),
                        label="Share of listening time of each persona over time",
                        height=260,
                        columns=2,
                    ),
                    note=f"Per {_granularity}, this period",
                )
                if len(_time)
                else look.card("Share of listening time", look.empty("No session in this period.")),
                look.card(
                    "Hours they keep",
                    look.chart(
                        charts.persona_hours(_hours, _domain, list(colours.values())),
                        label="Sessions of each persona by local start hour",
                        height=260,
                        columns=2,
                    ),
                    note="Sessions by local start hour",
                )
                if len(_hours)
                else "",
                min_width="24rem",
            ),
        )
    )
    return


@app.cell
def _(colours, people, view):
    mo.stop(view is None or not view.has_data or people.empty)
    _labels = dict(zip(people["persona_id"], people["label"], strict=True))
    _points = charts.session_map(listening_data.session_points(view.user_id, view.period))
    _typical = listening_data.typical_sessions(view.user_id, view.period, per_persona=1 if len(people) > 3 else 2)
    look.page_part(
        look.block(
            "Sessions",
            look.cards(
                look.card(
                    "Map of sessions",
                    look.chart(
                        charts.map_chart(
                            _points.assign(persona=_points["persona_id"].map(_labels)),
                            [_labels[key] for key in colours],
                            list(colours.values()),
                        ),
                        label="Each dot is a session; near dots are sessions alike",
                        height=540,
                        columns=2,
                    )
                    if len(_points) > 2
                    else look.empty("Too few sessions in this period to draw a map."),
                    note="Near dots are alike (first two principal components of the features)",
                ),
                look.card(
                    "Typical sessions",
                    "".join(
                        panels.typical_session(row, _labels[row["persona_id"]], colours[int(row["persona_id"])])
                        for _, row in _typical.iterrows()
                    )
                    or look.empty("No session in this period."),
                    note="Nearest to the middle of each persona",
                ),
                min_width="24rem",
            ),
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
