import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Playlists · Listening")

with app.setup:
    import marimo as mo

    from dashboards import listening_data, look, panels, selection


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
    selection.top_of_page("playlists", view, widgets)
    return (view,)


@app.cell
def _(address, view):
    mo.stop(view is None)
    made = listening_data.playlists(view.user_id)
    _options = {
        f"{row.name_} · {look.day(row.as_of)}": row.playlist_id
        for row in made.rename(columns={"name": "name_"}).itertuples()
    }
    _wanted = address.get("playlist")
    _first = next(iter(_options), None)
    playlist = mo.ui.dropdown(
        _options,
        value=next((label for label, value in _options.items() if value == _wanted), _first),
        label="Playlist",
        on_change=lambda value: address.set("playlist", value),
    )
    look.page_part(
        look.space(),
        f'<div class="controls">{look.widget(playlist)}</div>'
        if len(made)
        else look.notice(
            "No playlists yet. They are made once the listener has personas, which need a longer history."
        ),
    )
    return made, playlist


@app.cell
def _(made, playlist, view):
    mo.stop(view is None or made.empty)
    # Nothing can be chosen in a file: it holds the newest playlist of every persona.
    _newest = list(made.drop_duplicates("persona_id")["playlist_id"])
    _shown = _newest if look.MEDIUM.get() == "file" else [playlist.value]
    look.page_part(*[panels.playlist(view, made, playlist_id) for playlist_id in _shown])
    return


@app.cell
def _(view):
    mo.stop(view is None)
    look.page_part(panels.colophon(view))
    return


if __name__ == "__main__":
    app.run()
