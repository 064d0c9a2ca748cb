import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Personas · Listening")

with app.setup:
    import marimo as mo

    from dashboards import charts, queries
    from dashboards.components import blocks, personas
    from dashboards.components.theme import PERSONA_COLOURS
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
    view = opening.view("personas", address, listener, period, own_range)
    view.header()
    return (view,)


@app.cell
def _(view):
    mo.stop(not view.has_data)
    people = queries.personas(view.user_id)
    colours = {
        persona: PERSONA_COLOURS[place % len(PERSONA_COLOURS)]
        for place, persona in enumerate(sorted(people["persona_id"]))
    }
    labels = dict(zip(people["persona_id"], people["label"], strict=True))
    # For the charts: every persona's label and colour in the same order.
    scale = ([labels[persona] for persona in colours], list(colours.values()))
    blocks.page_part(
        blocks.block(
            "Who is listening",
            blocks.cards(
                *[
                    personas.persona_card(row, colours[row.persona_id])
                    for row in people[people["is_active"]].itertuples()
                ],
                min_width="20rem" if len(people) % 3 == 0 else "26rem",
            ),
            note=personas.model_note(queries.current_model(view.user_id)),
        )
        if len(people)
        else blocks.notice(
            "No personas yet. They are found by clustering sessions and appear once there are enough of them."
        )
    )
    return colours, labels, people, scale


@app.cell
def _(labels, people, scale, view):
    mo.stop(people.empty)
    _days = view.period.days
    _granularity: queries.Granularity = "week" if _days <= 200 else "month" if _days <= 1600 else "quarter"
    _time = charts.with_days(queries.persona_time(view.user_id, view.period, _granularity), "bucket")
    _time = _time.assign(hours=_time["ms_played"] / 3_600_000, persona=_time["persona_id"].map(labels))
    _hours = queries.persona_hours(view.user_id, view.period)
    _hours = _hours.assign(persona=_hours["persona_id"].map(labels))
    blocks.page_part(
        blocks.block(
            "How listening time is divided",
            blocks.cards(
                blocks.card(
                    "Share of listening time",
                    charts.figure(
                        charts.personas.persona_shares(_time, _granularity, *scale),
                        label="Share of listening time of each persona over time",
                        height=260,
                        columns=2,
                    ),
                    note=f"Per {_granularity}, this period",
                )
                if len(_time)
                else blocks.card("Share of listening time", blocks.empty("No sessions in this period.")),
                blocks.card(
                    "Time of day",
                    charts.figure(
                        charts.personas.persona_hours(_hours, *scale),
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
def _(colours, labels, people, scale, view):
    mo.stop(people.empty)
    _points = charts.personas.session_map(queries.session_points(view.user_id, view.period))
    _points = _points.assign(persona=_points["persona_id"].map(labels))
    _typical = queries.typical_sessions(view.user_id, view.period, per_persona=1 if len(people) > 3 else 2)
    blocks.page_part(
        blocks.block(
            "Sessions",
            blocks.cards(
                blocks.card(
                    "Map of sessions",
                    charts.figure(
                        charts.personas.map_chart(_points, *scale),
                        label="Each dot is a session; similar sessions are close together",
                        height=540,
                        columns=2,
                    )
                    if len(_points) > 2
                    else blocks.empty("Too few sessions in this period to draw a map."),
                    note="Similar sessions are close together (first two principal components)",
                ),
                blocks.card(
                    "Typical sessions",
                    *[
                        personas.typical_session(row, labels[row.persona_id], colours[row.persona_id])
                        for row in _typical.itertuples()
                    ]
                    or [blocks.empty("No sessions in this period.")],
                    note="Closest to the centre of each persona",
                ),
                min_width="24rem",
            ),
        ),
    )
    return


@app.cell
def _(view):
    view.footer()
    return


if __name__ == "__main__":
    app.run()
