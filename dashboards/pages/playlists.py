import marimo

__generated_with = "0.25.2"
app = marimo.App(width="full", app_title="Playlists · Listening")

with app.setup:
    import marimo as mo

    from dashboards import queries
    from dashboards.components import blocks, controls, playlists
    from dashboards.components.formatting import day
    from dashboards.medium import medium
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
    view = opening.view("playlists", address, listener, period, own_range)
    view.header()
    return (view,)


@app.cell
def _(address, view):
    made = queries.playlists(view.user_id)
    _options = {f"{name} · {day(as_of)}": key for name, as_of, key in made[["name", "as_of", "playlist_id"]].to_numpy()}
    playlist = controls.choice(address, "playlist", _options, label="Playlist")
    blocks.page_part(
        blocks.space(),
        blocks.controls(playlist)
        if len(made)
        else blocks.notice(
            "No playlists yet. They are made for personas, which appear once there are enough sessions."
        ),
    )
    return made, playlist


@app.cell
def _(made, playlist, view):
    mo.stop(made.empty)
    # Nothing can be chosen in a file: it holds the newest playlist of every persona.
    _newest = made.drop_duplicates("persona_id")["playlist_id"]
    _parts = []
    for _playlist_id in _newest if medium() == "file" else [playlist.value]:
        _chosen = made[made["playlist_id"] == _playlist_id].iloc[0]
        _tracks = queries.playlist_tracks(view.user_id, _playlist_id)
        _parts.append(playlists.playlist_head(_chosen, playlists.downloads(_chosen, _tracks)))
        if _tracks.empty:
            continue
        _earlier = made[(made["persona_id"] == _chosen["persona_id"]) & (made["as_of"] < _chosen["as_of"])].head(1)
        _before = [(queries.playlist_tracks(view.user_id, row.playlist_id), row.as_of) for row in _earlier.itertuples()]
        _parts += [
            blocks.block(
                "Tracks",
                playlists.score_legend(),
                blocks.card("", playlists.track_list(_tracks)),
                note="The bar shows what the score is made of; pale parts count against the track",
            ),
            blocks.block("What changed", playlists.playlist_changes(_tracks, *(_before or [(None, None)])[0])),
        ]
    blocks.page_part(*_parts)
    return


@app.cell
def _(view):
    view.footer()
    return


if __name__ == "__main__":
    app.run()
