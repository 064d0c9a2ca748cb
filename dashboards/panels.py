"""Larger pieces of the pages: persona cards, playlist sleeves and track lists, the year in review, account and
import tables."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from dashboards import drawings, listening_data, look
from dashboards.charts import SCORE_PARTS
from dashboards.selection import View
from dashboards.vocabularies import tag, word
from include.ingestion.authorization import AUTHORIZATION_LASTS, WARN_AFTER


def colophon(view: View) -> str:
    state = listening_data.data_state()
    checked = f" Last checked {look.moment(state['last_checked_at'], view.time_zone)}." if state else ""
    return (
        f'<footer class="colophon">Data of {look.text(view.listener["display_name"])} up to '
        f"{look.day(view.listener['as_of'])}."
        f"{checked} Times are local, {look.text(view.time_zone)}.</footer>"
    )


def next_milestone(view: View) -> str:
    """Which round number of plays comes next, and when at the pace of the last 28 days."""
    plays, pace = view.listener["plays"], view.listener["plays_28d"] / 28
    power = 10 ** (len(str(plays)) - 1)
    target = next(step for step in (power, 5 * power // 2, 5 * power, 10 * power) if step > plays)
    when = ""
    if pace > 0:
        days = math.ceil((target - plays) / pace)
        when = (
            f", about {look.day(view.today + dt.timedelta(days=days))} at the pace of the last 28 days"
            if days < 3650
            else ""
        )
    return f'<p class="quiet small" style="margin-top:.8rem">Next: {look.count(target)} plays{when}.</p>'


def signed(change: int) -> str:
    """A change with its sign, coloured by direction."""
    sign, tone = ("+", "up") if change > 0 else ("−", "down")
    return f'<span class="{tone}">{sign}{abs(change):,}</span>'


# Trends -------------------------------------------------------------------------------------------------------------


def year_in_review(view: View, year: pd.Series) -> str:
    """One calendar year: key figures and its most played."""
    number = int(year["year"])
    first, last = view.listener["first_date"], max(view.today, view.listener["last_date"])
    period = listening_data.period_of(str(number), first, last)
    tops = {kind: listening_data.top(view.user_id, kind, period, limit=3) for kind in ("artist", "track", "album")}
    names = {"artist": "artist_name", "track": "track_name", "album": "album_name"}

    def top_three(kind: str) -> str:
        rows = [
            look.Ranked(
                int(row["rank"]),
                row[names[kind]],
                "" if kind == "artist" else row["artist_name"],
                f"{look.count(row['plays'])}",
                row["plays"] / max(tops[kind]["plays"].max(), 1),
                None,
                known_before=False,
            )
            for _, row in tops[kind].iterrows()
        ]
        return (
            f"<div><h3>{kind.capitalize()}s</h3>{look.ranking(rows, label=f'Top {kind}s of {number}', since='')}</div>"
        )

    figures = look.figures(
        [
            look.Figure("Listening", look.duration(year["ms_played"])),
            look.Figure("Plays", look.count(year["plays"]), look.of_30s(year["plays_30s"])),
            look.Figure("New artists", look.count(year["new_artists"])),
            look.Figure("Longest streak", f"{int(year['longest_streak_days'])} days"),
            look.Figure("Busiest day", f"{year['best_day']:%-d %b}", f"{look.count(year['best_day_plays'])} plays"),
            look.Figure("Busiest month", f"{year['best_month']:%B}"),
        ]
    )
    is_open = " open" if number == last.year else ""
    return (
        f'<details class="year"{is_open}><summary><h3>{number}</h3><span '
        f'class="quiet">{look.duration(year["ms_played"])}, '
        f"{look.count(year['plays'])} plays on {look.count(year['active_days'])} days</span></summary>{figures}"
        f'<div class="cards" '
        f'style="--min:16rem;margin-top:1rem">{"".join(top_three(kind) for kind in tops)}</div></details>'
    )


# Personas -----------------------------------------------------------------------------------------------------------


def model_note(model: dict[str, Any]) -> str:
    if not model:
        return ""
    quality = f", silhouette {model['silhouette']:.2f}" if model["silhouette"] is not None else ""
    return (
        f"{model['k']} groups found in {look.count(model['training_sessions'])} sessions from "
        f"{look.day(model['trained_from'])} "
        f"to {look.day(model['trained_to'])}{quality}"
    )


def persona_card(persona: pd.Series, colour: str) -> str:
    """Who the persona is, why it is called so, and its part of the time."""
    traits = "".join(f"<span class='tag'>{look.text(words)}</span>" for words in persona["traits"]["words"])
    change = persona["recent_share_of_time"] - persona["share_of_time"]
    trend = (
        "about as much as ever"
        if abs(change) < 0.02
        else f"{abs(change) * 100:.0f} points {'more' if change > 0 else 'less'} than overall"
    )
    renamed = (
        (
            f'<p class="small quiet">Called “{look.text(persona["previous_label"])}” before '
            f"{look.day(persona['labelled_on'])}.</p>"
        )
        if persona["previous_label"] and persona["previous_label"] != persona["label"]
        else ""
    )
    return (
        f'<article class="card persona" style="--dot:{colour}"><header><h3>{look.text(persona["label"])}</h3></header>'
        f"<p>{look.text(persona['description'])}</p>"
        f'<div class="share"><div><b>{look.percent(persona["share_of_time"])}</b><span class="small '
        f'quiet">of listening time</span></div>'
        f'<div><b>{look.percent(persona["recent_share_of_time"])}</b><span class="small quiet">lately, '
        f"{trend}</span></div>"
        f'<div><b>{look.count(persona["sessions"])}</b><span class="small quiet">sessions</span></div></div>'
        f'<div class="chips">{traits}</div>'
        f'<details><summary>Why this name</summary><p class="small">{look.text(persona["explanation"])}</p>'
        f'<p class="small quiet">{look.text(persona["label_reason"])}</p>{renamed}'
        f"{_measures(persona['traits']['measures'])}</details></article>"
    )


def _measures(measures: dict[str, list[float | None]]) -> str:
    """How the persona's sessions measure up to all of the listener's sessions."""
    rows = [
        (look.text(name.replace("_", " ")), *(_measure(name, value) for value in values))
        for name, values in measures.items()
    ]
    return look.table(["Measure", "Here", "Overall"], rows, caption="Compared with all sessions", numbers=[1, 2])


def _measure(name: str, value: float | None) -> str:
    """Counts and minutes as they are, everything else is a share."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if name in ("minutes", "unique_artists") else look.percent(value)


def typical_session(session: pd.Series, label: str, colour: str) -> str:
    tracks = "".join(f"<li>{look.text(track)}</li>" for track in session["first_tracks"] or [])
    return (
        f'<div class="typical" style="--dot:{colour}"><p><span class="dot" aria-hidden="true"></span>'
        f"<strong>{look.text(label)}</strong></p>"
        f'<p class="small quiet">{session["local_started_at"]:%A %-d %B %Y, %H:%M}: '
        f"{look.duration(session['length_ms'])}, "
        f"{look.count(session['plays'])} plays, {look.count(session['unique_artists'])} artists</p>"
        f"<ul>{tracks}</ul></div>"
    )


# Playlists ----------------------------------------------------------------------------------------------------------


def spotify_address(track_id: str) -> str | None:
    """The track's page on Spotify; None for a play that no Spotify id is known for."""
    return f"https://open.spotify.com/track/{track_id}" if track_id.isalnum() else None


def playlist_csv(tracks: pd.DataFrame) -> bytes:
    """All columns of the track list, UTF-8 with a byte order mark so that spreadsheets read it right."""
    columns = [
        "position",
        "track_name",
        "artist_name",
        "album_name",
        "track_id",
        "kind",
        "score",
        *SCORE_PARTS,
        "reason",
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in tracks[columns].itertuples(index=False):
        # A cell that begins like a formula would be run by a spreadsheet.
        writer.writerow(["'" + cell if isinstance(cell, str) and cell[:1] in "=+-@\t\r" else cell for cell in row])
    return text.getvalue().encode("utf-8-sig")


def playlist_m3u(playlist: pd.Series, tracks: pd.DataFrame) -> bytes:
    """Extended M3U: length in seconds (-1 unknown), artist and title, Spotify's address."""

    def one_line(value: str) -> str:
        return " ".join(value.split())

    lines = ["#EXTM3U", f"#PLAYLIST:{one_line(playlist['name'])}"]
    for row in tracks.itertuples():
        seconds = -1 if pd.isna(row.duration_ms) else round(row.duration_ms / 1000)
        lines.append(f"#EXTINF:{seconds},{one_line(row.artist_name)} - {one_line(row.track_name)}")
        lines.append(spotify_address(row.track_id) or f"# no Spotify id: {one_line(row.track_name)}")
    return ("\n".join(lines) + "\n").encode()


def playlist_xspf(playlist: pd.Series, tracks: pd.DataFrame) -> bytes:
    """XSPF 1 (https://www.xspf.org/spec): title, creator, album, duration in ms, the reason as annotation."""
    ElementTree.register_namespace("", "http://xspf.org/ns/0/")
    root = ElementTree.Element("{http://xspf.org/ns/0/}playlist", version="1")

    def add(parent: ElementTree.Element, name: str, words: str | None = None) -> ElementTree.Element:
        child = ElementTree.SubElement(parent, f"{{http://xspf.org/ns/0/}}{name}")
        child.text = words
        return child

    add(root, "title", playlist["name"])
    add(root, "annotation", playlist["description"])
    add(root, "date", f"{playlist['as_of']}T00:00:00Z")
    track_list = add(root, "trackList")
    for row in tracks.itertuples():
        track = add(track_list, "track")
        address = spotify_address(row.track_id)
        if address:
            add(track, "location", address)
        add(track, "title", row.track_name)
        add(track, "creator", row.artist_name)
        add(track, "annotation", row.reason)
        if isinstance(row.album_name, str):
            add(track, "album", row.album_name)
        if not pd.isna(row.duration_ms):
            add(track, "duration", str(int(row.duration_ms)))
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def downloads(playlist: pd.Series, tracks: pd.DataFrame) -> list[str]:
    """The three download buttons."""
    name = (
        "".join(letter if letter.isalnum() else "-" for letter in f"{playlist['name']}-{playlist['as_of']}")
        .strip("-")
        .lower()
    )
    files = [
        ("CSV", f"{name}.csv", "text/csv", playlist_csv(tracks)),
        ("M3U", f"{name}.m3u8", "audio/x-mpegurl", playlist_m3u(playlist, tracks)),
        ("XSPF", f"{name}.xspf", "application/xspf+xml", playlist_xspf(playlist, tracks)),
    ]
    return [look.download(label, file_name, mimetype, content) for label, file_name, mimetype, content in files]


def sleeve(playlist: pd.Series, tracks: pd.DataFrame, buttons: list[str]) -> str:
    """The head of a playlist: cover, name, what it is, and what can be done with it."""
    colour = look.PERSONA_COLOURS[int(playlist["persona_id"]) % 8]
    on_spotify = ""
    if playlist["spotify_playlist_id"]:
        address = f"https://open.spotify.com/playlist/{look.text(playlist['spotify_playlist_id'])}"
        on_spotify = (
            f'<a class="unframed-only" href="{address}" target="_blank" rel="noopener">Open in '
            f'Spotify</a><code class="framed-only">{address}</code>'
        )
    cover = drawings.cover(playlist["playlist_id"], colour, label=f"Cover of {playlist['name']}")
    status = playlist["published_status"]
    published = tag("published_playlists", "status", status) if status else ""
    if playlist["published_message"]:
        published += f" {look.text(playlist['published_message'])}"
    return (
        '<section class="block"><div class="sleeve"><div class="cover">'
        f"{cover}</div><div>"
        f'<p class="quiet">Playlist for {look.text(playlist["persona"] or "a persona")} {published}</p><h2 '
        f'class="big">{look.text(playlist["name"])}</h2>'
        f"<p>{look.text(playlist['description'])}</p>"
        f'<p class="quiet small">{look.count(playlist["tracks"])} tracks, '
        f"{look.duration(playlist['ms_total'])}, made {look.day(playlist['as_of'])}</p>"
        f'<div class="actions">{"".join(buttons)}{on_spotify}</div></div></div></section>'
    )


def score_legend() -> str:
    items = "".join(
        f'<span style="--dot:{colour}"><span class="dot"></span>{name}</span>' for name, colour in SCORE_PARTS.values()
    )
    return f'<div class="legend" style="margin:0 0 .8rem">{items}</div>'


def track_list(tracks: pd.DataFrame) -> str:
    """Every track with its reason and its score parts as a stacked bar: the longest where the parts are largest in all,
    pale what counts against the track."""
    most = max(float(tracks[list(SCORE_PARTS)].abs().sum(axis=1).max()), 1e-9)
    items, minus = [], ' class="minus"'
    for row in tracks.itertuples():
        address = spotify_address(row.track_id)
        name = look.text(row.track_name)
        title = (
            (
                f'<a class="unframed-only" href="{look.text(address)}" target="_blank" rel="noopener" '
                f'title="Open in Spotify">{name}</a><span class="framed-only">{name}</span>'
            )
            if address
            else name
        )
        by = f"{row.artist_name} · {row.album_name}" if row.album_name else row.artist_name
        parts = {column: float(getattr(row, column)) for column in SCORE_PARTS}
        words = ", ".join(f"{SCORE_PARTS[column][0]} {value:.2f}" for column, value in parts.items())
        bar = "".join(
            f'<i{minus if value < 0 else ""} style="width:{abs(value) / most:.2%};--dot:{SCORE_PARTS[column][1]}"></i>'
            for column, value in parts.items()
        )
        items.append(
            f'<li class="track"><span class="rank">{row.position}</span>'
            f'<span class="name">{title}<span '
            f'class="by">{look.text(by)}</span></span>'
            f'<span class="reason">{look.text(row.reason)} {tag("playlist_tracks", "kind", row.kind)}</span>'
            f'<span class="score"><span class="parts" role="img" aria-label="Score {row.score:.2f}: {words}" '
            f'title="{words}">{bar}</span>'
            f'<span class="small quiet">score {row.score:.2f}</span></span>'
            f'<span class="number quiet">{look.clock_length(row.duration_ms)}</span></li>'
        )
    return f'<ol class="tracks">{"".join(items)}</ol>'


def playlist_changes(tracks: pd.DataFrame, before: pd.DataFrame | None, before_on: dt.date | None) -> str:
    """What came, what went since the playlist before for the same persona."""
    if before is None:
        return look.card("", look.empty("This is the first playlist for this persona."))
    now_ids, before_ids = set(tracks["track_id"]), set(before["track_id"])
    came, went = tracks[~tracks["track_id"].isin(before_ids)], before[~before["track_id"].isin(now_ids)]

    def listed(rows: pd.DataFrame, nothing: str) -> str:
        if rows.empty:
            return look.empty(nothing)
        markup = "".join(
            (
                f"<li><strong>{look.text(row.track_name)}</strong> <span "
                f'class="quiet">{look.text(row.artist_name)}</span></li>'
            )
            for row in rows.itertuples()
        )
        return f'<ul class="plain">{markup}</ul>'

    return look.cards(
        look.card(f"{len(came)} came", listed(came, "Nothing new.")),
        look.card(f"{len(went)} went", listed(went, "Nothing left.")),
        look.card(
            f"{len(now_ids & before_ids)} stayed",
            f'<p class="quiet">Against the playlist of {look.day(before_on)}.</p>',
        ),
    )


def playlist(view: View, made: pd.DataFrame, playlist_id: str) -> str:
    """One playlist: sleeve with downloads, tracks, what changed since the one before for the same persona.

    :param made: listening_data.playlists() of the view's listener.
    """
    chosen = made[made["playlist_id"] == playlist_id].iloc[0]
    tracks = listening_data.playlist_tracks(view.user_id, playlist_id)
    head = sleeve(chosen, tracks, downloads(chosen, tracks))
    if tracks.empty:
        return head
    earlier = made[(made["persona_id"] == chosen["persona_id"]) & (made["as_of"] < chosen["as_of"])].head(1)
    before = None if earlier.empty else listening_data.playlist_tracks(view.user_id, earlier.iloc[0]["playlist_id"])
    return (
        head
        + look.block(
            "Tracks",
            score_legend(),
            look.card("", track_list(tracks)),
            note="The bar: what the score is made of; pale: what counts against the track",
        )
        + look.block(
            "What changed", playlist_changes(tracks, before, None if earlier.empty else earlier.iloc[0]["as_of"])
        )
    )


# Quality ------------------------------------------------------------------------------------------------------------


def token_age(view: View) -> tuple[str, str]:
    """Value and note of the authorization's age at the data's own day."""
    authorized = view.listener["authorized_at"]
    if authorized is None:
        return "–", "not authorized: exports only"
    end = authorized.date() + AUTHORIZATION_LASTS
    age = view.today - authorized.date()
    words = f"ends about {look.day(end)}"
    return f"{age.days} days", f'<span class="down">{words}: authorize again</span>' if age >= WARN_AFTER else words


def checks_of_run(run_id: str) -> str:
    """The checks that warned or failed in one run, and behind a summary those that passed."""
    noticed: list[tuple[str, ...]] = []
    passed: list[tuple[str, ...]] = []
    for row in listening_data.checks(run_id).itertuples():
        cells = (
            tag("qa_validation_results", "outcome", row.outcome),
            f'{look.text(row.check_name)}<span class="by">{look.text(row.table_name)}</span>',
            "–" if pd.isna(row.measured_value) else f"{row.measured_value:,.4g}",
            look.text(row.message or ""),
        )
        (passed if row.outcome == "PASS" else noticed).append(cells)

    def listed(rows: list[tuple[str, ...]], caption: str) -> str:
        columns = ["Outcome", "Check", "Measured", "Message"]
        return look.table(columns, rows, caption=caption, numbers=[2])

    return (
        listed(noticed, "Failed checks first") if noticed else look.empty("Every check of this run passed.")
    ) + look.folded(f"{len(passed)} passed", listed(passed, "Checks that passed"))


def accounts_table(view: View) -> str:
    rows = []
    for row in listening_data.accounts().itertuples():
        states = [
            f"{word('ingestion_state', 'pipeline', state['pipeline']).label} "
            f"{tag('ingestion_state', 'status', state['status'])}"
            + (f'<span class="by">{look.text(state["message"])}</span>' if state["message"] else "")
            for state in row.states or []
        ]
        gaps = (
            look.tag(f"{row.open_gaps} open", "warn")
            if row.open_gaps
            else look.text(f"{row.gaps} closed" if row.gaps else "none")
        )
        own = "<strong>" if row.user_id == view.user_id else ""
        rows.append(
            (
                f"{own}{look.text(row.display_name)}{'</strong>' if own else ''}",
                "".join(f"<div>{state}</div>" for state in states) or look.tag("no run yet"),
                "–" if pd.isna(row.authorized_at) else look.day(row.authorized_at.date()),
                gaps,
                "–"
                if pd.isna(row.plays)
                else f'{look.count(row.plays)}<span class="by">{look.of_30s(row.plays_30s)}</span>',
            )
        )
    return look.table(
        ["Listener", "Pipelines", "Authorized", "Gaps", "Plays"], rows, caption="All accounts", numbers=[4]
    )


def completeness(view: View) -> list[str]:
    """Gaps, imported files and left-out rows of the view's listener."""
    zone = view.time_zone
    gap_rows = [
        (
            look.moment(row.gap_start, zone),
            look.moment(row.gap_end, zone),
            look.tag("open", "warn")
            if pd.isna(row.closed_at)
            else f"{look.tag('closed', 'good')} {look.text(row.closed_by)}",
        )
        for row in listening_data.gaps(view.user_id).itertuples()
    ]
    file_rows = []
    skipped: dict[str, int] = {}
    for row in listening_data.files(view.user_id).itertuples():
        reasons = row.skipped_rows if isinstance(row.skipped_rows, dict) else json.loads(row.skipped_rows or "{}")
        for reason, rows in reasons.items():
            skipped[reason] = skipped.get(reason, 0) + int(rows)
        file_rows.append(
            (
                look.text(row.file_name),
                tag("ingested_files", "status", row.status) + (f" {look.text(row.message)}" if row.message else ""),
                look.count(row.rows_read),
                look.count(row.rows_loaded),
                look.count(row.rows_already_known),
                look.count(sum(int(rows) for rows in reasons.values())),
            )
        )
    left_out = [
        (look.text(f"import: {word('ingested_files', 'skipped_rows', reason).label}"), look.count(rows))
        for reason, rows in sorted(skipped.items(), key=lambda item: -item[1])
    ]
    left_out += [
        (
            look.text(
                f"{word('excluded_events', 'source', row.source).label}: "
                f"{word('excluded_events', 'reason', row.reason).label}"
            ),
            look.count(row.rows),
        )
        for row in listening_data.excluded(view.user_id).itertuples()
    ]
    return [
        look.cards(
            look.card(
                "Gaps",
                look.table(["From", "To", "State"], gap_rows, caption="Plays lost to Spotify's window of 50")
                if gap_rows
                else look.empty("No gap: every poll met a play it knew."),
            ),
            look.card(
                "Rows left out, and why",
                look.table(
                    ["Reason", "Rows"], left_out, caption="Rows that do not count as plays of their own", numbers=[1]
                )
                if left_out
                else look.empty("Every row counts."),
            ),
            min_width="22rem",
        ),
        look.space(),
        look.card(
            "Imported files",
            look.table(
                ["File", "State", "Read", "Loaded", "Known", "Skipped"],
                file_rows,
                caption="Rows of each export file",
                numbers=[2, 3, 4, 5],
            )
            if file_rows
            else look.empty(
                "No export imported. An Extended Streaming History fills in the years before the first poll."
            ),
        ),
    ]
