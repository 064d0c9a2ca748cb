import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Quality · Listening")

with app.setup:
    import marimo as mo

    from dashboards import charts, drawings, listening_data, look, panels, selection
    from dashboards.vocabularies import WORDS


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
    selection.top_of_page("quality", view, widgets)
    return (view,)


@app.cell
def _(view):
    mo.stop(view is None)
    _state = listening_data.data_state()
    _zone = view.time_zone
    if not _state:
        _message = look.notice("No scan has run yet.", tone="warn")
    elif _state["failed_checks"]:
        _message = look.notice(
            f"<strong>{look.count(_state['failed_checks'])} checks failed</strong> in the newest run "
            f"({look.moment(_state['last_checked_at'], _zone)}). "
            f"Last good data: <strong>{look.moment(_state['last_good_at'], _zone)}</strong>.",
            tone="bad",
        )
    else:
        _message = look.notice(
            f"All checks that guard the data passed on {look.moment(_state['last_checked_at'], _zone)}."
        )
    _coverage = listening_data.audio_feature_coverage(view.user_id)
    look.page_part(
        _message,
        look.space(),
        look.figures(
            [
                look.Figure("Data up to", look.day(view.listener["as_of"])),
                look.Figure(
                    "Last play known",
                    look.moment(view.listener["last_played_at"], _zone).split(",")[0],
                    look.moment(view.listener["last_played_at"], _zone),
                ),
                look.Figure("Authorization age", *panels.token_age(view)),
                look.Figure(
                    "Plays with audio features",
                    look.percent(_coverage["coverage"]),
                    "of plays in sessions" if _coverage["coverage"] else "everything else works without",
                ),
            ]
        ),
    )
    return


@app.cell
def _(address, view):
    mo.stop(view is None)
    _runs = listening_data.runs()
    mo.stop(_runs.empty)
    _told = [
        f"{look.moment(row.checked_at, view.time_zone)} · {row.failed} failed, {row.warned} warned"
        for row in _runs.itertuples()
    ]
    # Two runs of one minute are told apart by their names.
    _options = {
        told if _told.count(told) == 1 else f"{told} · {run_id}": run_id
        for told, run_id in zip(_told, _runs["run_id"], strict=True)
    }
    _wanted = address.get("run")
    run = mo.ui.dropdown(
        _options,
        value=next((label for label, value in _options.items() if value == _wanted), next(iter(_options))),
        label="Run",
        on_change=lambda value: address.set("run", value),
    )
    look.page_part(
        look.block(
            "Checks",
            look.card(
                "Check history",
                drawings.check_history(listening_data.check_history()),
                note="The newest 30 runs, the newest on the right; "
                + ", ".join(f"{each.mark} {each.label}" for each in WORDS["qa_validation_results", "outcome"].values()),
            ),
        )
    )
    return (run,)


@app.cell
def _(run):
    look.page_part(
        look.space(),
        look.card(
            "Checks of one run",
            f'<div class="controls">{look.widget(run)}</div>',
            panels.checks_of_run(run.value),
        ),
    )
    return


@app.cell
def _(view):
    mo.stop(view is None)
    look.page_part(
        look.block(
            "Accounts",
            look.card("", panels.accounts_table(view)),
            note="Every listener; authorizations end six months after they were given",
        ),
        look.block("Completeness", *panels.completeness(view)),
    )
    return


@app.cell
def _(view):
    mo.stop(view is None)
    _calls = charts.with_days(listening_data.api_calls(view.user_id, view.period.start, view.period.end), "called_on")
    look.page_part(
        look.block(
            "Calls to Spotify",
            look.card(
                "Calls a day",
                look.chart(charts.calls(_calls), label="Calls to Spotify a day by endpoint", height=220)
                if len(_calls)
                else look.empty("No calls counted in this period."),
                note="Spotify's daily quota in development mode ended at 800 to 2,600 calls",
            ),
        ),
        panels.colophon(view),
    )
    return


if __name__ == "__main__":
    app.run()
