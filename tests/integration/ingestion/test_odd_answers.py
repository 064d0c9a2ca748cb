"""Whatever Spotify answers: what is wrong with one value costs only that, and never stops an account."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.ingestion.audio_features import fetch_audio_features
from include.ingestion.errors import RateLimited, SpotifyError, SpotifyUnavailable, TokenDead
from include.ingestion.metadata import fetch_metadata
from include.ingestion.recently_played import ingest_recently_played
from include.ingestion.spotify_client import QUOTA_SECONDS, RATE_WINDOW_SECONDS, SpotifyClient, retry_after
from include.ingestion.token_store import Authorization, TokenStore
from include.publishing.playlists import _playlists_with_marker
from include.stack.local import postgres

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LISTENERS = count()


class Server(ThreadingHTTPServer):
    """Answers what `answers` holds for the first path that the request's begins with: status, headers, body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, body: Any, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[path] = (status, headers, content)


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, body = next(
            (answer for path, answer in self.server.answers.items() if self.path.startswith(path)), (404, {}, b"{}")
        )
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def database(pg_socket: Path, template_database: str) -> Iterator[str]:
    """One for all tests here: each has a listener and ids of its own."""
    postgres.create_database(pg_socket, "odd_answers", owner="listening_owner", template=template_database)
    yield "odd_answers"
    postgres.drop_database(pg_socket, "odd_answers")


@pytest.fixture
def server(running: Server) -> Server:
    running.answers.clear()
    return running


@pytest.fixture
def client(server: Server) -> SpotifyClient:
    return SpotifyClient(
        access_token=lambda refused: "token",
        count_call=lambda endpoint: None,
        api_url=server.url,
        now=lambda: NOW,
        sleep=lambda seconds: None,
    )


class Account:
    authorized_at = None

    def __init__(self, client: SpotifyClient) -> None:
        self.get_conn = lambda: client

    def require_scope(self, scope: str) -> None:
        pass


def item(number: int) -> dict[str, Any]:
    """A play of a track of its own, the newest with the smallest number."""
    track_id = f"{number:022}"
    return {
        "track": {
            "id": track_id,
            "uri": f"spotify:track:{track_id}",
            "type": "track",
            "is_local": False,
            "name": f"Song {number}",
            "duration_ms": 200_000,
            "artists": [{"id": f"a{number:021}", "name": "Someone"}],
            "album": {"id": f"b{number:021}", "name": "Album"},
            "external_ids": {"isrc": "DEXX00000001"},
        },
        "played_at": (NOW - timedelta(minutes=5 * number + 5)).isoformat(),
        "context": None,
    }


def window(*items: Any) -> dict[str, Any]:
    return {"items": list(items), "next": None, "cursors": {"after": "1", "before": "0"}, "limit": 50, "href": "x"}


@pytest.fixture
def ingest(connection, server: Server, client: SpotifyClient) -> Callable[[Any], tuple[str, Any]]:
    def ingest(answer: Any) -> tuple[str, Any]:
        user_id = f"listener {next(LISTENERS)}"
        server.answer("/v1/me/player/recently-played", answer)
        outcome = ingest_recently_played(connection, Account(client), user_id, run_id="run", now=lambda: NOW)
        return user_id, outcome

    return ingest


@pytest.fixture
def stored(connection) -> Callable[[str], list[tuple[str, dict[str, Any]]]]:
    def stored(user_id: str) -> list[tuple[str, dict[str, Any]]]:
        rows = connection.execute(
            "select track_id, payload from raw_listening_events where user_id = %s order by played_at desc", [user_id]
        ).fetchall()
        state = connection.execute("select status from ingestion_state where user_id = %s", [user_id]).fetchone()
        connection.rollback()
        assert state == ("ok",)
        return rows

    return stored


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (r'"a\u0000b"', "a\ufffdb"),
        (r'"a\ud83db"', "a?b"),
        (r'"\ud83d\ude00"', "😀"),
        ("NaN", None),
        ("-Infinity", None),
        ("1e400", None),
        ("1" * 5000, None),
        ('"\u202e\u200b\x7f"', "\u202e\u200b\x7f"),
    ],
)
def test_what_jsonb_cannot_hold_is_replaced(ingest, stored, written, kept):
    answer = json.dumps(window(item(0), item(1))).replace('"Song 1"', written).encode()
    user_id, outcome = ingest(answer)
    rows = stored(user_id)
    assert [payload["track"]["name"] for _, payload in rows] == ["Song 0", kept]
    assert outcome.stored.plays_new == 2


def test_a_byte_that_is_not_utf8_costs_only_itself(ingest, stored):
    answer = json.dumps(window(item(0), item(1))).encode().replace(b"Song 1", b"Song \xff")
    assert [payload["track"]["name"] for _, payload in stored(ingest(answer)[0])] == ["Song 0", "Song \ufffd"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "no_track"),
        ([], "no_track"),
        ({"track": None}, "no_track"),
        ({"track": 5}, "no_track"),
        ({"played_at": None}, "no_played_at"),
        ({"played_at": 1_751_371_200_000}, "no_played_at"),
        ({"played_at": "yesterday"}, "no_played_at"),
        ({"played_at": "2026-07-01T11:00:00"}, "no_played_at"),
        ({"played_at": "0001-01-01T00:00:00Z"}, "played_at_out_of_range"),
        ({"played_at": "9999-12-31T23:59:59Z"}, "played_at_out_of_range"),
        ({"track": {**item(1)["track"], "uri": 7}}, "no_uri"),
        ({"track": {**item(1)["track"], "uri": "spotify:track:" + "x" * 3000, "id": "x" * 3000}}, "bad_track_id"),
        ({"track": {**item(1)["track"], "uri": "spotify:thing:1", "type": {"a": "thing"}}}, "unknown_type"),
    ],
)
def test_a_bad_item_is_counted_and_the_others_are_stored(ingest, stored, change, reason):
    bad = item(1) | change if isinstance(change, dict) else change
    user_id, outcome = ingest(window(item(0), bad, item(2)))
    assert [track_id for track_id, _ in stored(user_id)] == [item(0)["track"]["id"], item(2)["track"]["id"]]
    assert outcome.summary()["unreadable"] == {reason: 1}
    assert f"1 {reason}" in outcome.message


@pytest.mark.parametrize(
    "change", [{"id": 12345}, {"id": None}, {"artists": []}, {"artists": None}, {"duration_ms": 10**300}, {"type": 3}]
)
def test_a_play_whose_address_tells_the_track_is_a_play(ingest, stored, change):
    odd = item(1)
    odd["track"] |= change
    user_id, _ = ingest(window(item(0), odd))
    assert [track_id for track_id, _ in stored(user_id)] == [item(n)["track"]["id"] for n in (0, 1)]


def test_an_item_that_claims_another_time_moves_no_boundary(ingest, stored, connection):
    user_id, _ = ingest(window(item(0) | {"played_at": "9999-12-31T23:59:59Z"}, item(1)))
    stored(user_id)
    (last,) = connection.execute("select last_played_at from ingestion_state where user_id = %s", [user_id]).fetchone()
    assert last == datetime.fromisoformat(item(1)["played_at"])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800") | st.just("a\0b"),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values within."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, name)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, name))


GOOD = window(item(0), item(1), item(2))
# Without a list of items there is nothing to read.
PLACES = [path for path in places(GOOD) if path != ("items",)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PLACES), anything)
def test_garbage_in_place_of_any_value_costs_at_most_its_own_item(ingest, stored, path, garbage):
    answer = deepcopy(GOOD)
    target: Any = answer
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = garbage
    user_id, outcome = ingest(answer)
    good = {item(n)["track"]["id"] for n in range(3) if path[:2] != ("items", n)}
    assert good <= {track_id for track_id, _ in stored(user_id)}
    assert outcome.stored.plays_shown + outcome.unreadable.total() >= 3


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[]", b"null", b'"text"', b"{}", b"[" * 100_000])
def test_what_is_no_window_is_an_outage(ingest, body):
    with pytest.raises(SpotifyUnavailable):
        ingest(body)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, RATE_WINDOW_SECONDS),
        ("", RATE_WINDOW_SECONDS),
        ("7", 7),
        ("7.5", 7.5),
        ("-5", 0),
        ("0", 0),
        ("soon", RATE_WINDOW_SECONDS),
        ("nan", RATE_WINDOW_SECONDS),
        ("inf", QUOTA_SECONDS),
        ("-inf", 0),
        ("1e999", QUOTA_SECONDS),
        ("9" * 5000, QUOTA_SECONDS),
        ("²", RATE_WINDOW_SECONDS),
        (format_datetime(NOW + timedelta(seconds=20), usegmt=True), 20),
        (format_datetime(NOW - timedelta(days=20), usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", QUOTA_SECONDS),
        ("Wed, 99 Foo 0000 99:99:99 GMT", RATE_WINDOW_SECONDS),
    ],
)
def test_every_retry_after_is_a_wait_that_ends(header, seconds):
    assert retry_after(header, NOW) == seconds


@given(st.text() | st.floats().map(str) | st.integers().map(str))
def test_any_retry_after_is_a_wait_that_ends(header):
    seconds = retry_after(header, NOW)
    assert math.isfinite(seconds)
    assert 0 <= seconds <= QUOTA_SECONDS


@pytest.mark.parametrize(
    "body", [b"\0\xff", b"[1]", b'{"error": "a\\u0000b"}', b'{"error": {"message": ["\\ud800"]}}', b""]
)
@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 502])
def test_any_error_body_leaves_a_state_people_can_read(connection, server, client, body, status):
    server.answer("/v1/me/player", body, status, **{"Retry-After": "1e300"})
    with contextlib.nullcontext() if status == 429 else pytest.raises(SpotifyError):
        ingest_recently_played(connection, Account(client), "eve", run_id="run", now=lambda: NOW)
    state = connection.execute("select status <> 'ok', message, retry_at from ingestion_state where user_id = 'eve'")
    assert state.fetchone()[0]
    connection.execute("delete from ingestion_state where user_id = 'eve'")
    connection.commit()


def test_odd_tracks_and_artists_neither_stop_nor_come_again(connection, server, client):
    connection.execute("delete from heard_tracks")  # of the other tests
    connection.execute("delete from tracks")
    good, nul, odd = (item(n)["track"] for n in range(3))
    tracks = {good["id"]: good, nul["id"]: nul | {"name": "a\0b", "duration_ms": 10**30}, odd["id"]: odd | {"id": 5}}
    for track_id, track in tracks.items():
        server.answer(f"/v1/tracks/{track_id}", track)
        connection.execute("insert into heard_tracks values (%s, 1)", [track_id])
    server.answer("/v1/artists/", {"id": ["x"], "name": "\ud800", "genres": 3})
    server.answer(f"/v1/artists/{good['artists'][0]['id']}", {"id": good["artists"][0]["id"], "name": "a\0"})
    server.answers = dict(reversed(server.answers.items()))
    asked = [fetch_metadata(connection, client, "ada", now=NOW) for _ in range(3)]
    assert asked == [{"tracks": 2, "unusable": 1}, {"artists": 1, "unusable": 1}, {}]
    names = connection.execute("select track_name, duration_ms from tracks order by track_id").fetchall()
    assert names == [("Song 0", 200_000), ("a\ufffdb", None)]
    assert connection.execute("select artist_name from artists").fetchall() == [("a\ufffd",)]
    connection.rollback()


@pytest.mark.parametrize("value", ["1" + "0" * 400, "NaN", "1e400", '"high"', "null", "[]", "true"])
def test_odd_audio_features_are_unknown_values(connection, server, client, value):
    track_id = f"{next(LISTENERS):022}"
    connection.execute("insert into heard_tracks values (%s, 1)", [track_id])
    odd = f'{{"id": "{track_id}", "energy": {value}, "key": {value}, "tempo": 120}}'
    server.answer("/v1/audio-features", f'{{"audio_features": [{value}, {{"id": {value}}}, {odd}]}}'.encode())
    fetch_audio_features(connection, client, now=NOW, reccobeats_url=server.url)
    features = connection.execute(
        "select energy, musical_key, tempo from audio_features where track_id = %s", [track_id]
    ).fetchone()
    assert features == (None, None, 120)


def test_odd_playlists_are_passed_over(server, client):
    found = {"id": "p1", "description": "(spotify-listening persona 3)"}
    odd = [None, 5, [], {}, {"id": 5, "description": 7}, {"description": f"(spotify-listening persona {'9' * 5000})"}]
    server.answer("/v1/me/playlists", {"items": [*odd, found], "next": "for ever"})
    assert _playlists_with_marker(client) == {3: "p1"}


class Plain:
    def encrypt(self, msg: bytes) -> bytes:
        return msg

    decrypt = encrypt


@pytest.fixture
def tokens(writer_conninfo, server) -> TokenStore:
    import psycopg

    return TokenStore(
        Authorization(f"spotify_{next(LISTENERS)}", "id", "secret", "refresh"),
        lambda: psycopg.connect(writer_conninfo),
        Plain(),
        accounts_url=server.url,
        mask=lambda secret: None,
        count_call=lambda endpoint: None,
        now=lambda: NOW,
    )


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (1800, 1800),
        ("1800", 1800),
        ("an hour", 3600),
        (None, 3600),
        (-5, 3600),
        (0, 3600),
        (1e300, 3600),
        (math.inf, 3600),
        (math.nan, 3600),
        (10**400, 3600),
        ([], 3600),
    ],
)
def test_any_expires_in_is_a_life(tokens, server, expires_in, seconds):
    server.answer("/api/token", {"access_token": "new", "expires_in": expires_in, "scope": 5, "refresh_token": ["x"]})
    assert tokens.access_token() == "new"
    assert tokens._tokens["expires_at"] == (NOW + timedelta(seconds=seconds)).isoformat()
    assert tokens._tokens["refresh_token"] == "refresh"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "invalid_grant"}, TokenDead),
        (401, {"error": "invalid_client"}, TokenDead),
        (400, b"<html>Bad request</html>", SpotifyUnavailable),
        (401, b"", SpotifyUnavailable),
        (400, {"error": "server_error"}, SpotifyUnavailable),
        (400, {"error": {"message": "invalid_grant"}}, SpotifyUnavailable),
        (400, ["invalid_grant"], SpotifyUnavailable),
        (502, {"error": "invalid_grant"}, SpotifyUnavailable),
        (200, b"<html>Maintenance</html>", SpotifyUnavailable),
        (200, [], SpotifyUnavailable),
        (200, b"", SpotifyUnavailable),
        (200, {"access_token": None}, SpotifyUnavailable),
        (200, {"access_token": "a\nb"}, SpotifyUnavailable),
        (200, {"access_token": "schlüssel"}, SpotifyUnavailable),
        (429, b"", RateLimited),
    ],
)
def test_only_oauths_own_words_end_an_authorization(tokens, server, status, body, error):
    server.answer("/api/token", body, status, **{"Retry-After": "²"} if status == 429 else {})
    with pytest.raises(error) as raised:
        tokens.access_token()
    assert isinstance(raised.value, TokenDead) == (error is TokenDead)
