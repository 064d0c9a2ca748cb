"""The dashboards as a reader meets them, in Chromium: every page for every listener, controls, downloads, hostile
addresses."""

from __future__ import annotations

import csv
import http.server
import io
import re
import threading
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree

import psycopg
import pytest
from playwright.sync_api import Page, TimeoutError, expect

from dashboards.components import formatting
from dashboards.components.playlist_files import spotify_address
from dashboards.pages import PAGES
from tests.support.pipeline import HOSTILE_TRACK, LISTENERS, UNHEARD

pytestmark = pytest.mark.browser

ADA, BEA, *_ = (listener.display_name for listener in LISTENERS)
# marimo's page is complete when its last line is there and the prerendered page is gone.
COMPLETE = "body:not(:has(#prerendered)) #root .page-footer"


def open_page(page: Page, site: str, name: str, **parameters: str) -> None:
    page.goto(f"{site}/{name}/?{urlencode(parameters)}")
    try:
        page.wait_for_selector(COMPLETE, timeout=20_000)
    except TimeoutError:
        # Where containers come and go, Chromium drops requests under way (ERR_NETWORK_CHANGED) and scripts are missing.
        page.reload()
        page.wait_for_selector(COMPLETE)
    expect(page.locator("marimo-error, .marimo-error, [data-testid='cell-error']")).to_have_count(0)


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_label(label, exact=True).select_option(option)


def parameters_of(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def figure(page: Page, label: str) -> str:
    """The value of the first key figure with this label."""
    return (
        page.locator(".figure", has=page.locator("dt", has_text=re.compile(f"^{label}$")))
        .first.locator(".value")
        .inner_text()
    )


def one(connection: psycopg.Connection, statement: str, *parameters: object) -> tuple:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row


def test_home_names_every_listener_and_leads_to_their_pages(page, site):
    page.goto(site)
    for listener in LISTENERS:
        expect(page.get_by_role("heading", name=listener.display_name)).to_be_visible()
    page.get_by_role("navigation", name=BEA).get_by_role("link", name="Quality").click()
    page.wait_for_selector(COMPLETE)
    assert urlsplit(page.url).path == "/quality/"
    expect(page.locator(".lead")).to_contain_text(BEA)


# The words of a page but for its controls, which are marimo's in the one and the browser's own in the other.
WORDS = """window.words = place => [...document.querySelectorAll(place + ' .listening')].flatMap(part => {
    const copy = part.cloneNode(true);
    copy.querySelectorAll('.controls, .actions').forEach(control => control.remove());
    return copy.textContent.split(/\\s+/).filter(Boolean);
});
addEventListener('DOMContentLoaded', () => { window.painted = words('#prerendered'); });"""


@pytest.mark.parametrize("listener", LISTENERS, ids=lambda listener: listener.user_id)
@pytest.mark.parametrize("name", PAGES)
def test_every_page_shows_every_listener(page, site, name, listener):
    page.add_init_script(WORDS)
    open_page(page, site, name, listener=listener.user_id, period="all")
    # Every word and number was in the document itself, before any of marimo's scripts ran.
    assert page.evaluate("painted") == page.evaluate("words('#root')")
    expect(page.locator("h1")).to_have_count(1)
    expect(page.locator(".page-footer")).to_contain_text(listener.display_name)
    expect(page.locator(".topbar a[aria-current=page]")).to_have_text(PAGES[name][0])
    assert "nan" not in page.locator("body").inner_text().lower().split()
    # What cannot be seen is said: charts have names.
    assert page.locator("figure:not([aria-label]), .svg-chart:not([aria-label])").count() == 0


def test_controls_of_the_prerendered_page_load_the_page_anew(page, site):
    """They work while marimo's scripts are still on their way."""
    # Held back, not refused: a refusal would be an error in the console.
    page.route("**/assets/index-*.js", lambda route: None)
    page.goto(f"{site}/overview/?listener=ada&period=28d", wait_until="commit")
    prerendered = page.locator("#prerendered")
    prerendered.get_by_label("Listener").select_option(BEA)
    expect(prerendered.locator("h1")).to_have_text(BEA)
    prerendered.get_by_label("Period").select_option("2025")
    expect(prerendered.locator(".lead")).to_contain_text("1 Jan 2025")
    prerendered.get_by_label("time", exact=True).check()
    expect(prerendered.get_by_role("list", name="Tracks").locator(".amount").first).to_contain_text(
        re.compile(r"\d (h|min|s)")
    )
    prerendered.get_by_label("Period").select_option("Own range …")
    # It begins with the days shown before.
    expect(prerendered.get_by_label("To", exact=True)).to_have_value("2025-12-31")
    prerendered.get_by_label("To", exact=True).fill("2025-12-20")
    expect(prerendered.locator(".lead")).to_contain_text("20 Dec 2025")
    assert parameters_of(page) == {"listener": "bea", "period": "2025-01-01..2025-12-20", "rank": "ms_played"}


def test_key_figures_are_the_plays(page, site, reader):
    open_page(page, site, "overview", listener="ada", period="2026")
    plays, ms, days, tracks, artists = one(
        reader,
        "select count(*), sum(ms_played), count(distinct local_date), count(distinct track_id),"
        " count(distinct artist_name) from analytics.listening_events"
        " where user_id = 'ada' and local_date between '2026-01-01' and '2026-12-31'",
    )
    (new_artists,) = one(
        reader,
        "select count(*) from (select from analytics.listening_events where user_id = 'ada' group by artist_name"
        " having min(local_date) >= '2026-01-01') discovered",
    )
    assert figure(page, "Plays") == f"{plays:,}"
    assert figure(page, "Listening time") == formatting.duration(ms)
    assert figure(page, "Tracks") == f"{tracks:,}"
    assert figure(page, "Artists") == f"{artists:,}"
    assert figure(page, "New artists") == f"{new_artists:,}"
    assert figure(page, "Days with music") == f"{days:,}"


def test_ranking_and_its_moves_are_the_plays(page, site, reader):
    open_page(page, site, "overview", listener="ada", period="2026")
    expected = reader.execute(
        """
        with ranked as (
            select extract(year from local_date) as year, artist_name, count(*) as plays,
                row_number() over (partition by extract(year from local_date) order by count(*) desc,
                    sum(ms_played) desc) as rank
            from analytics.listening_events
            where user_id = 'ada'
                and (local_date between '2025-01-01' and '2025-10-23' or local_date >= '2026-01-01')
            group by 1, 2
        )
        select now.artist_name, now.plays, before.rank - now.rank
        from ranked now left join ranked before on before.year = 2025 and before.artist_name = now.artist_name
        where now.year = 2026 and now.rank <= 10 order by now.rank
        """
    ).fetchall()
    rows = page.get_by_role("list", name="Artists").locator("li")
    expect(rows).to_have_count(10)
    for row, (artist, plays, move) in zip(rows.all(), expected, strict=True):
        expect(row.locator(".name")).to_have_text(artist)
        expect(row.locator(".amount")).to_contain_text(f"{plays} plays")
        shown = row.locator(".move").inner_text()
        sign = "new" if move is None else "=" if move == 0 else "▲" if move > 0 else "▼"
        assert shown.startswith(sign)
        if move:
            assert shown.endswith(str(abs(move)))


def test_controls_change_the_page_and_the_address(page, site, reader):
    open_page(page, site, "overview", listener="ada", period="28d")
    choose(page, "Listener", BEA)
    expect(page.locator("h1")).to_have_text(BEA)
    assert parameters_of(page)["listener"] == "bea"
    choose(page, "Period", "All time")
    (plays,) = one(reader, "select count(*) from analytics.listening_events where user_id = 'bea'")
    expect(page.locator(".figure", has_text="Plays").first.locator(".value")).to_have_text(f"{plays:,}")
    assert parameters_of(page)["period"] == "all"
    page.get_by_label("time", exact=True).click()
    expect(page.get_by_role("list", name="Tracks").locator(".amount").first).to_contain_text(
        re.compile(r"\d (h|min|s)")
    )
    # The address is the view: opened anew it shows the same.
    page.goto(page.url)
    page.wait_for_selector(COMPLETE)
    expect(page.locator("h1")).to_have_text(BEA)
    expect(page.get_by_label("Period", exact=True)).to_have_value("All time")


def test_granularity_control(page, site):
    open_page(page, site, "trends", listener="ada", period="2025")
    for option, value in (
        ("months", "month"),
        ("quarters", "quarter"),
        ("years", "year"),
        ("days", "day"),
        ("weeks", "week"),
    ):
        choose(page, "By", option)
        expect(page.get_by_role("img", name=f"Hours of listening per {value}")).to_be_visible()
        assert parameters_of(page)["by"] == value


def test_own_range(page, site, reader):
    open_page(page, site, "overview", listener="ada", period="2026-02-01..2026-02-10")
    (plays,) = one(
        reader,
        (
            "select count(*) from analytics.listening_events where user_id = 'ada' and local_date between "
            "'2026-02-01' and '2026-02-10'"
        ),
    )
    assert figure(page, "Plays") == f"{plays:,}"
    expect(page.get_by_label("Period", exact=True)).to_have_value("Own range …")


def test_playlist_downloads_hold_the_playlist(page, site, reader, tmp_path):
    (playlist_id,) = one(
        reader, "select playlist_id from ml.playlists where user_id = 'ada' order by as_of, persona_id limit 1"
    )
    open_page(page, site, "playlists", listener="ada", playlist=playlist_id)
    tracks = reader.execute(
        "select track_id, track_name, artist_name, score, reason from ml.playlist_tracks"
        " where user_id = 'ada' and playlist_id = %s order by position",
        [playlist_id],
    ).fetchall()
    expect(page.locator(".track")).to_have_count(len(tracks))
    files: dict[str, Path] = {}
    for label in ("CSV", "M3U", "XSPF"):
        with page.expect_download() as download:
            page.locator("marimo-download", has_text=label).locator("a, button").first.click()
        files[label] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[label])
    rows = list(csv.DictReader(io.StringIO(files["CSV"].read_text(encoding="utf-8-sig"))))
    assert [(r["track_id"], r["track_name"], r["artist_name"], float(r["score"]), r["reason"]) for r in rows] == tracks
    lines = files["M3U"].read_text().splitlines()
    assert lines[0] == "#EXTM3U"
    assert [line for line in lines if not line.startswith("#")] == [spotify_address(track[0]) for track in tracks]
    space = {"x": "http://xspf.org/ns/0/"}
    listed = ElementTree.parse(files["XSPF"]).findall(".//x:track", space)
    assert [(t.findtext("x:title", None, space), t.findtext("x:creator", None, space)) for t in listed] == [
        (track[1], track[2]) for track in tracks
    ]
    expect(page.locator(".track a").first).to_have_attribute("href", f"https://open.spotify.com/track/{tracks[0][0]}")


def test_new_listener_meets_honest_words(page, site):
    open_page(page, site, "overview", listener="dora")
    expect(page.locator(".notice")).to_contain_text("plays so far")
    for name in ("overview", "trends", "personas"):
        open_page(page, site, name, listener=UNHEARD)
        expect(page.locator("body")).to_contain_text("Nothing published for this listener yet")
    open_page(page, site, "playlists", listener=UNHEARD)
    expect(page.locator("body")).to_contain_text("No playlists yet")
    open_page(page, site, "quality", listener=UNHEARD)
    expect(page.locator("body")).to_contain_text("optional: everything else works without them")


HOSTILE = ["'; drop table analytics.daily_trends; --", "<img src=x onerror=alert(1)>", "%00../../etc", "ada' or '1'='1"]


@pytest.mark.parametrize("name", PAGES)
def test_hostile_addresses_change_nothing(page, site, reader, name):
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    before = one(reader, "select count(*), sum(plays) from analytics.daily_trends")
    # Every parameter meets every text once, over the pages.
    turn = list(PAGES).index(name)
    names = ("listener", "period", "by", "playlist", "rank", "run")
    open_page(page, site, name, **{key: HOSTILE[(turn + place) % len(HOSTILE)] for place, key in enumerate(names)})
    expect(page.locator(".notice.warn").first).to_be_visible()
    assert page.locator("img[src=x]").count() == 0
    assert dialogs == []
    assert one(reader, "select count(*), sum(plays) from analytics.daily_trends") == before


CONTROLS = {
    "overview": ["Listener", "Period"],
    "trends": ["Listener", "Period", "By"],
    "personas": ["Listener", "Period"],
    "playlists": ["Listener", "Period", "Playlist"],
    "quality": ["Listener", "Period", "Run"],
}
TAMPER = """(control, text) => {
    control.add(new Option(text, text));
    control.value = text;
    control.dispatchEvent(new Event('change', {bubbles: true}));
}"""


@pytest.mark.parametrize("name", PAGES)
def test_tampered_controls_change_nothing(page, site, reader, name):
    """Values that no control offers, sent as if it did."""
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    before = one(reader, "select count(*), sum(plays) from analytics.daily_trends")
    open_page(page, site, name, listener="ada", period="28d")
    for label in CONTROLS[name]:
        for hostile in HOSTILE:
            page.get_by_label(label, exact=True).evaluate(TAMPER, hostile)
    choose(page, "Listener", BEA)
    expect(page.locator(".page-footer")).to_contain_text(BEA)
    assert dialogs == []
    assert one(reader, "select count(*), sum(plays) from analytics.daily_trends") == before


def test_nobody_runs_code_of_their_own(page, site):
    """marimo's server executes cells only for an editor, and these pages have none."""
    with page.expect_websocket() as socket:
        open_page(page, site, "overview", listener="ada")
    session = parse_qs(urlsplit(socket.value.url).query)["session_id"][0]
    token = re.search(r'data-token="([^"]*)"', page.content())
    headers = {"Marimo-Session-Id": session, "Marimo-Server-Token": token[1] if token else ""}
    command = {"cellIds": ["Hbol"], "codes": ["1 / 0"]}
    for endpoint in ("run", "scratchpad/run", "save"):
        answer = page.request.post(f"{site}/overview/api/kernel/{endpoint}", headers=headers, data=command)
        assert answer.status in (401, 403), endpoint


def test_hostile_names_are_only_text(page, site, reader):
    (listener, start) = one(
        reader,
        "select user_id, max(local_date) from analytics.track_days join analytics.track_totals using "
        "(user_id, track_id)"
        " where track_name = %s group by user_id order by count(*) desc",
        HOSTILE_TRACK,
    )
    artist = one(reader, "select artist_name from analytics.track_totals where track_name = %s", HOSTILE_TRACK)[0]
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_page(page, site, "overview", listener=listener, period=f"{start}..{start}")
    expect(page.locator("body")).to_contain_text(artist)
    assert dialogs == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_a_phone(page, site, name):
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, site, name, listener="ada", period="365d")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = page.evaluate(
        "[...document.querySelectorAll('.listening *')].filter(e => !e.closest('.scroll, svg, nav, .visually-hidden')"
        " && e.getBoundingClientRect().right > 391).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []


def test_pages_work_inside_airflows_frame(page, site, tmp_path):
    frame = (
        "<link rel='icon' href='data:,'>"
        f"<iframe src='{site}/playlists/?listener=ada' sandbox='allow-scripts allow-same-origin allow-forms "
        f"allow-downloads'"
        " style='width:1200px;height:800px'></iframe>"
    )
    (tmp_path / "index.html").write_text(frame)
    # A real server: Chromium lets no page from elsewhere, a routed one included, frame a loopback address.
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as airflow:
        threading.Thread(target=airflow.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{airflow.server_port}/")
        airflow.shutdown()
    inside = page.frame_locator("iframe")
    expect(inside.locator(COMPLETE)).to_be_attached(timeout=60_000)
    # No popups there: links that would open one are plain text.
    expect(inside.locator(".track a:visible")).to_have_count(0)
    expect(inside.locator(".track .name").first).to_be_visible()
