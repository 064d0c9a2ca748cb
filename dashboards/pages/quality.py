import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Quality · Listening")

with app.setup:
    import marimo as mo

    from dashboards import charts, queries
    from dashboards.components import blocks, controls, quality
    from dashboards.components.blocks import Figure
    from dashboards.components.formatting import day, moment, percent
    from dashboards.components.vocabularies import WORDS
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
    view = opening.view("quality", address, listener, period, own_range)
    view.header()
    return (view,)


@app.cell
def _(view):
    _last_played = moment(view.listener["last_played_at"], view.time_zone)
    _coverage = queries.audio_feature_coverage(view.user_id)["coverage"]
    blocks.page_part(
        quality.data_state(queries.data_state(), view.time_zone),
        blocks.space(),
        blocks.figures(
            Figure("Data up to", day(view.listener["as_of"])),
            Figure("Last play known", _last_played.split(",")[0], _last_played),
            Figure("Authorization age", *quality.token_age(view.listener["authorized_at"], view.today)),
            Figure(
                "Plays with audio features",
                percent(_coverage),
                "of plays in sessions" if _coverage else "optional: everything else works without them",
            ),
        ),
    )
    return


@app.cell
def _(address, view):
    _runs = queries.runs()
    mo.stop(_runs.empty)
    _words = [
        f"{moment(row.checked_at, view.time_zone)} · {row.failed} failed, {row.warned} warned"
        for row in _runs.itertuples()
    ]
    # Two runs in the same minute are told apart by their names.
    _options = {
        words if _words.count(words) == 1 else f"{words} · {run_id}": run_id
        for words, run_id in zip(_words, _runs["run_id"], strict=True)
    }
    run = controls.choice(address, "run", _options, label="Run")
    blocks.page_part(
        blocks.block(
            "Checks",
            blocks.card(
                "Check history",
                quality.check_history(queries.check_history()),
                note="The latest 30 runs, the newest on the right: "
                + ", ".join(f"{each.mark} {each.label}" for each in WORDS["qa_validation_results", "outcome"].values()),
            ),
        )
    )
    return (run,)


@app.cell
def _(run):
    blocks.page_part(
        blocks.space(),
        blocks.card("Checks of one run", blocks.controls(run), quality.checks_of_run(queries.checks(run.value))),
    )
    return


@app.cell
def _(view):
    _files = queries.files(view.user_id)
    blocks.page_part(
        blocks.block(
            "Accounts",
            blocks.card("", quality.accounts_table(queries.accounts(), view.user_id)),
            note="Every listener; authorizations expire six months after they were given",
        ),
        blocks.block(
            "Completeness",
            blocks.cards(
                blocks.card("Gaps", quality.gaps_table(queries.gaps(view.user_id), view.time_zone)),
                blocks.card("Rows left out, by reason", quality.left_out_table(_files, queries.excluded(view.user_id))),
                min_width="22rem",
            ),
            blocks.space(),
            blocks.card("Imported files", quality.files_table(_files)),
        ),
    )
    return


@app.cell
def _(view):
    _calls = charts.with_days(queries.api_calls(view.user_id, view.period.start, view.period.end), "called_on")
    blocks.page_part(
        blocks.block(
            "Calls to Spotify",
            blocks.card(
                "Calls a day",
                charts.figure(charts.quality.calls(_calls), label="Calls to Spotify a day by endpoint")
                if len(_calls)
                else blocks.empty("No calls counted in this period."),
                note="In development mode Spotify stops after 800 to 2,600 calls a day",
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
