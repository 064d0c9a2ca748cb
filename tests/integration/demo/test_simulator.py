"""The simulated Spotify over HTTP: tokens, recently played, catalogue, playlists, faults."""

from __future__ import annotations

import base64
import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import spotipy
from spotipy.cache_handler import MemoryCacheHandler

from include.demo.simulator.client import SimulatorClient
from include.demo.simulator.server import simulator_server
from include.demo.simulator.simulated_spotify import CLIENT_ID, CLIENT_SECRET, SCOPES

from .conftest import LISTENERS, NOW, Api, ask_for_token

REDIRECT = "http://127.0.0.1:9/callback"
OpenApi = Callable[..., Api]


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


# Accounts service


def authorize(simulator: SimulatorClient, **changes: str) -> requests.Response:
    query = {
        "client_id": CLIENT_ID, "response_type": "code", "redirect_uri": REDIRECT, "scope": SCOPES, "state": "s1",
        **changes,
    }  # fmt: skip
    return requests.get(f"{simulator.url}/authorize", params=query, allow_redirects=False, timeout=10)


def test_an_authorization_code_becomes_tokens_once(simulator: SimulatorClient) -> None:
    simulator.sign_in("bea")
    answer = authorize(simulator)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert answer.headers["Location"].startswith(REDIRECT)
    assert query["state"] == ["s1"]
    form = {"grant_type": "authorization_code", "code": query["code"][0], "redirect_uri": REDIRECT}
    our_app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": ""}
    tokens = ask_for_token(simulator, our_app, **form).json()
    assert {"access_token", "refresh_token", "expires_in", "scope", "token_type"} == set(tokens)
    me = Api(simulator, tokens["access_token"])("GET", "/v1/me").json()
    assert (me["account_id"], me["display_name"]) == ("bea", "Bea Winterbourne")
    assert not {"country", "email", "product", "followers"} & set(me)
    again = ask_for_token(simulator, our_app, **form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_a_code_with_a_challenge_needs_its_verifier(simulator: SimulatorClient) -> None:
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    our_app = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": ""}
    for tried, status in (("x" * 50, 400), (verifier, 200)):
        location = authorize(simulator, code_challenge=challenge).headers["Location"]
        code = parse_qs(urlsplit(location).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": tried}
        assert ask_for_token(simulator, our_app, **form).status_code == status


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "http://localhost:9/callback"},
        {"redirect_uri": "http://example.com/callback"},
        {"client_id": "somebody-else"},
        {"response_type": "token"},
    ],
)
def test_what_authorize_refuses(simulator: SimulatorClient, changes: dict[str, str]) -> None:
    assert authorize(simulator, **changes).status_code == 400


def test_a_listener_can_decline(simulator: SimulatorClient) -> None:
    simulator.sign_in("ada", consents=False)
    assert parse_qs(urlsplit(authorize(simulator).headers["Location"]).query)["error"] == ["access_denied"]


def test_a_refresh_normally_carries_no_new_refresh_token(simulator: SimulatorClient) -> None:
    authorization = simulator.refresh_token("ada")
    for _ in range(2):
        answer = ask_for_token(simulator, authorization)
        assert answer.status_code == 200
        assert "refresh_token" not in answer.json()


def test_a_rotated_refresh_token_replaces_the_old_one(simulator: SimulatorClient) -> None:
    authorization = simulator.refresh_token("ada")
    simulator.rotate_refresh_tokens(1)
    rotated = ask_for_token(simulator, authorization).json()["refresh_token"]
    assert ask_for_token(simulator, authorization).json()["error"] == "invalid_grant"
    answer = ask_for_token(simulator, authorization | {"refresh_token": rotated})
    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()


def test_refreshing_does_not_outlive_six_months_from_authorization(simulator: SimulatorClient) -> None:
    authorization = simulator.refresh_token("ada", authorized_at=datetime.fromisoformat(NOW) - timedelta(days=180))
    assert ask_for_token(simulator, authorization).status_code == 200
    simulator.set_clock(datetime.fromisoformat(NOW) + timedelta(days=5))
    answer = ask_for_token(simulator, authorization)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_revoked_token_is_dead(simulator: SimulatorClient, api_of: OpenApi) -> None:
    authorization, api = simulator.refresh_token("ada"), api_of("ada")
    simulator.revoke("ada")
    assert ask_for_token(simulator, authorization).json()["error"] == "invalid_grant"
    assert api("GET", "/v1/me").status_code == 401


def test_only_our_app_gets_tokens(simulator: SimulatorClient) -> None:
    authorization = simulator.refresh_token("ada") | {"client_secret": "wrong"}
    answer = ask_for_token(simulator, authorization)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


def test_an_access_token_lives_an_hour(simulator: SimulatorClient, api_of: OpenApi) -> None:
    api = api_of("ada")
    simulator.set_clock(datetime.fromisoformat(NOW) + timedelta(minutes=59))
    assert api("GET", "/v1/me").status_code == 200
    simulator.set_clock(datetime.fromisoformat(NOW) + timedelta(minutes=60))
    answer = api("GET", "/v1/me")
    assert answer.status_code == 401
    assert answer.json() == {"error": {"status": 401, "message": "The access token expired"}}
    assert Api(simulator, "nonsense")("GET", "/v1/me").status_code == 401


def test_a_killed_simulator_comes_back_with_its_tokens_and_clock(tmp_path: Path, free_port: int) -> None:
    command = [sys.executable, "-m", "include.demo.simulator", "--port", str(free_port), "--state", str(tmp_path)]
    authorization: dict = {}
    for arguments in (["--now", NOW], []):
        process = subprocess.Popen([*command, *arguments])
        simulator = SimulatorClient(f"http://127.0.0.1:{free_port}")
        try:
            _until_it_answers(simulator)
            assert ms(simulator.clock()["now"]) == ms(NOW)
            authorization = authorization or simulator.refresh_token("dora")
            simulator.set_clock(NOW)
            assert ask_for_token(simulator, authorization).status_code == 200
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _until_it_answers(simulator: SimulatorClient) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            simulator.clock()
            return
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


# Recently played


def test_the_shape_of_a_page(simulator: SimulatorClient, api_of: OpenApi) -> None:
    page = api_of("ada").recently_played(limit=50)
    assert set(page) == {"items", "next", "cursors", "limit", "href"}
    assert len(page["items"]) == 50
    played_at = [ms(item["played_at"]) for item in page["items"]]
    assert played_at == sorted(played_at, reverse=True)
    assert page["cursors"] == {"after": str(played_at[0]), "before": str(played_at[-1])}
    for item in page["items"]:
        assert set(item) == {"track", "played_at", "context"}
        assert len(item["played_at"]) == len("2026-05-01T12:34:56.789Z")
        track = item["track"]
        assert not {"popularity", "available_markets", "linked_from"} & set(track)
        assert not {"popularity", "label", "available_markets"} & set(track["album"])
        assert track["external_ids"]["isrc"]
    assert requests.get(page["next"], headers=api_of("ada").session.headers, timeout=10).json() == {
        "items": [], "next": None, "cursors": None, "limit": 50, "href": page["next"],
    }  # fmt: skip


def test_pages_back_to_the_end_of_the_window(api_of: OpenApi) -> None:
    api = api_of("ada")
    page, items = api.recently_played(), []
    while page["items"]:
        assert len(page["items"]) <= 20
        items += page["items"]
        if page["next"] is None:
            break
        page = api.session.get(page["next"], timeout=10).json()
    assert items == api.recently_played(limit=50)["items"]


def test_after_and_before_are_exclusive_and_exclude_each_other(api_of: OpenApi) -> None:
    api = api_of("ada")
    items = api.recently_played(limit=50)["items"]
    middle = ms(items[20]["played_at"])
    assert api.recently_played(limit=50, after=middle)["items"] == items[:20]
    assert api.recently_played(limit=50, before=middle)["items"] == items[21:]
    answer = api("GET", "/v1/me/player/recently-played", params={"after": 1, "before": 2})
    assert answer.status_code == 400
    for limit in ("0", "51", "many"):
        assert api("GET", "/v1/me/player/recently-played", params={"limit": limit}).status_code == 400


def test_the_api_shows_the_truth_as_the_clock_goes(simulator: SimulatorClient, api_of: OpenApi) -> None:
    start = datetime.fromisoformat(NOW)
    shown: dict[str, str] = {}
    for half_hours in range(48):
        simulator.set_clock(start + timedelta(minutes=30 * half_hours))
        for item in api_of("ada").recently_played(limit=50)["items"]:
            shown[item["played_at"]] = item["track"]["id"]
    now = ms(simulator.clock()["now"])
    truth = [play for play in simulator.truth("ada", since=start) if play["in_api"] and ms(play["shown_at"]) <= now]
    assert len(truth) > 20
    assert {play["played_at"]: play["api_track_id"] for play in truth}.items() <= shown.items()


def test_a_new_listener_shows_all_twelve_plays(api_of: OpenApi) -> None:
    page = api_of("dora").recently_played(limit=50)
    assert len(page["items"]) == 12
    assert page["next"] is None


def test_scopes_are_checked(api_of: OpenApi) -> None:
    api = api_of("ada", scope="playlist-read-private")
    for method, path in (("GET", "/v1/me/player/recently-played"), ("POST", "/v1/me/playlists")):
        answer = api(method, path, json={"name": "x", "public": False} if method == "POST" else None)
        assert answer.status_code == 403
        assert answer.json()["error"]["message"] == "Insufficient client scope"


# Catalogue, and what is gone


def test_single_tracks_and_artists_remain(api_of: OpenApi) -> None:
    api = api_of("ada")
    track = api.recently_played(limit=1)["items"][0]["track"]
    assert api("GET", f"/v1/tracks/{track['id']}").json() == track
    artist = api("GET", f"/v1/artists/{track['artists'][0]['id']}").json()
    assert artist["name"] == track["artists"][0]["name"]
    assert not {"popularity", "followers"} & set(artist)
    assert api("GET", "/v1/tracks/0000000000000000000000").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/tracks?ids=a"), ("GET", "/v1/tracks/?ids=a"), ("GET", "/v1/artists/?ids=a"),
        ("GET", "/v1/albums/?ids=a"),
        ("GET", "/v1/audio-features/?ids=a"), ("GET", "/v1/audio-features?ids=a"), ("GET", "/v1/audio-analysis/a"),
        ("GET", "/v1/recommendations"), ("GET", "/v1/artists/a/related-artists"), ("GET", "/v1/artists/a/top-tracks"),
        ("POST", "/v1/users/ada/playlists"), ("GET", "/v1/users/bea"), ("GET", "/v1/playlists/a/tracks"),
        ("PUT", "/v1/playlists/a/tracks"), ("GET", "/v1/browse/new-releases"), ("GET", "/v1/markets"),
    ],
)  # fmt: skip
def test_what_spotify_took_away(api_of: OpenApi, method: str, path: str) -> None:
    assert api_of("ada")(method, path).status_code == 403


def test_an_app_with_extended_quota_has_audio_features(simulator: SimulatorClient, api_of: OpenApi) -> None:
    api = api_of("ada")
    track_id = api.recently_played(limit=1)["items"][0]["track"]["id"]
    simulator.set_limits(extended_quota=True)
    for path in ("/v1/audio-features", "/v1/audio-features/"):
        found = api("GET", path, params={"ids": f"{track_id},unknown"}).json()["audio_features"]
        assert found[0]["id"] == track_id
        assert found[1] is None
    assert api("GET", "/v1/audio-features", params={"ids": ",".join(["a"] * 101)}).status_code == 400


def test_search_gives_at_most_ten(api_of: OpenApi) -> None:
    api = api_of("ada")
    assert (
        len(api("GET", "/v1/search", params={"q": "river", "type": "track", "limit": 10}).json()["tracks"]["items"])
        == 10
    )
    assert api("GET", "/v1/search", params={"q": "river", "type": "track", "limit": 11}).status_code == 400


def test_reccobeats_knows_some_tracks_and_omits_the_others(simulator: SimulatorClient, api_of: OpenApi) -> None:
    ids = list({item["track"]["id"] for item in api_of("ada").recently_played(limit=50)["items"]})[:40]
    url = f"{simulator.reccobeats_url}/v1/audio-features"
    content = requests.get(url, params={"ids": ",".join([*ids[:39], "unknown"])}, timeout=10).json()["content"]
    hrefs = {entry["href"].rsplit("/", 1)[1] for entry in content}
    assert hrefs < set(ids)
    assert len(hrefs) >= 10
    for entry in content:
        assert 0 <= entry["energy"] <= 1
        assert -1 <= entry["key"] <= 11
        assert 40 < entry["tempo"] < 220
    assert requests.get(url, params={"ids": ",".join([*ids, *ids])}, timeout=10).status_code == 400


# Playlists


def test_a_playlist_is_created_filled_replaced_and_read(api_of: OpenApi) -> None:
    api = api_of("ada")
    uris = [item["track"]["uri"] for item in api.recently_played(limit=50)["items"]]
    created = api("POST", "/v1/me/playlists", json={"name": "Mornings", "public": False})
    assert created.status_code == 201
    path = f"/v1/playlists/{created.json()['id']}/items"
    assert api("PUT", path, json={"uris": uris[:30]}).status_code == 200
    assert api("PUT", path, json={"uris": uris[:20]}).json()["snapshot_id"]
    assert api("POST", path, json={"uris": uris[20:30]}).status_code == 201
    page = api("GET", path, params={"limit": 100}).json()
    assert [entry["item"]["uri"] for entry in page["items"]] == uris[:30]
    assert [p["name"] for p in api("GET", "/v1/me/playlists").json()["items"]] == ["Mornings"]
    assert api("PUT", path, json={"uris": (uris * 3)[:101]}).status_code == 400
    assert api("PUT", path, json={"uris": ["spotify:track:nothing"]}).status_code == 400
    assert api_of("bea")("PUT", path, json={"uris": uris[:1]}).status_code == 403
    assert api_of("ada", scope="playlist-modify-private")("GET", "/v1/me/playlists").json()["total"] == 0


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "retry_after", "error"),
    [
        ({"kind": "rate_limit", "retry_after": 7}, 429, "7", {"status": 429, "message": "API rate limit exceeded"}),
        (
            {"kind": "quota", "retry_after": 60_000}, 429, "60000",
            {"status": 429, "message": "Too many requests", "reason": "QUOTA_EXCEEDED"},
        ),
        ({"kind": "status", "status": 502}, 502, None, {"status": 502, "message": "Server error"}),
    ],
)  # fmt: skip
def test_faults_with_an_answer(
    simulator: SimulatorClient, api_of: OpenApi, fault: dict, status: int, retry_after: str | None, error: dict
) -> None:
    api = api_of("ada")
    simulator.plan_faults({"match": "/v1/me", **fault})
    answer = api("GET", "/v1/me")
    assert (answer.status_code, answer.headers.get("Retry-After"), answer.json()["error"]) == (
        status,
        retry_after,
        error,
    )
    assert api("GET", "/v1/me").status_code == 200


def test_a_slow_answer_comes_late(simulator: SimulatorClient, api_of: OpenApi) -> None:
    api = api_of("ada")
    simulator.plan_faults({"kind": "slow", "delay": 2.0})
    with pytest.raises(requests.ReadTimeout):
        api.session.get(f"{simulator.url}/v1/me", timeout=0.5)
    assert api("GET", "/v1/me").status_code == 200


@pytest.mark.parametrize("kind", ["reset", "cut"])
def test_a_broken_connection(simulator: SimulatorClient, api_of: OpenApi, kind: str) -> None:
    api = api_of("ada")
    simulator.plan_faults({"kind": kind})
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        api("GET", "/v1/me/player/recently-played")
    assert api("GET", "/v1/me").status_code == 200


def test_an_answer_that_is_no_json(simulator: SimulatorClient, api_of: OpenApi) -> None:
    api = api_of("ada")
    simulator.plan_faults({"kind": "non_json"})
    answer = api("GET", "/v1/me")
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_a_lost_answer_did_what_was_asked(simulator: SimulatorClient, api_of: OpenApi) -> None:
    api = api_of("ada")
    simulator.plan_faults({"match": "POST /v1/me/playlists", "kind": "lost_answer"})
    with pytest.raises(requests.ConnectionError):
        api("POST", "/v1/me/playlists", json={"name": "Once", "public": False})
    assert [playlist["name"] for playlist in simulator.playlists("ada")] == ["Once"]


def test_faults_wait_for_their_listener_and_their_turn(simulator: SimulatorClient, api_of: OpenApi) -> None:
    ada, bea = api_of("ada"), api_of("bea")
    simulator.plan_faults(
        {"match": "/v1/me", "kind": "status", "status": 500, "count": 2, "after_calls": 1, "user_id": "bea"}
    )
    assert [ada("GET", "/v1/me").status_code for _ in range(4)] == [200] * 4
    assert [bea("GET", "/v1/me").status_code for _ in range(4)] == [200, 500, 500, 200]
    assert simulator.pending_faults() == []
    with pytest.raises(ValueError, match="kind"):
        simulator.plan_faults({"kind": "nonsense"})


def test_limits_of_the_app(simulator: SimulatorClient, api_of: OpenApi) -> None:
    api = api_of("ada")
    simulator.set_limits(calls_per_30s=2)
    answers = [api("GET", "/v1/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 31
    simulator.set_limits(calls_per_day=1)
    answers = [api("GET", "/v1/me") for _ in range(2)]
    assert answers[1].json()["error"]["reason"] == "QUOTA_EXCEEDED"
    assert int(answers[1].headers["Retry-After"]) >= 13 * 3600


def test_calls_are_counted_by_listener_day_and_endpoint(simulator: SimulatorClient, api_of: OpenApi) -> None:
    ada, bea = api_of("ada"), api_of("bea")
    simulator.forget_calls()
    ada("GET", "/v1/me")
    ada("GET", "/v1/tracks/0000000000000000000000")
    bea("GET", "/v1/me")
    simulator.plan_faults({"kind": "reset"})
    with pytest.raises(requests.ConnectionError):
        bea("GET", "/v1/me")
    assert [(c["user_id"], c["day"], c["endpoint"], c["status"], c["calls"]) for c in simulator.calls()] == [
        ("ada", "2026-10-23", "GET /v1/me", 200, 1),
        ("ada", "2026-10-23", "GET /v1/tracks/{id}", 404, 1),
        ("bea", "2026-10-23", "GET /v1/me", 0, 1),
        ("bea", "2026-10-23", "GET /v1/me", 200, 1),
    ]


# Through spotipy, as the product calls it


def client(simulator: SimulatorClient, authorization: dict) -> spotipy.Spotify:
    stale = {**authorization, "access_token": "stale", "expires_at": 0}
    auth = spotipy.SpotifyOAuth(
        client_id=CLIENT_ID, client_secret=CLIENT_SECRET, redirect_uri=REDIRECT, scope=SCOPES,
        cache_handler=MemoryCacheHandler(token_info=stale), requests_session=requests.Session(), open_browser=False,
    )  # fmt: skip
    auth.OAUTH_TOKEN_URL = f"{simulator.url}/api/token"
    spotify = spotipy.Spotify(auth_manager=auth, requests_session=requests.Session())
    spotify.prefix = simulator.api_url
    return spotify


def test_spotipy_reads_and_writes(simulator: SimulatorClient) -> None:
    spotify = client(simulator, simulator.refresh_token("ada"))
    items = spotify.current_user_recently_played(limit=50)["items"]
    assert len(items) == 50
    playlist = spotify.current_user_playlist_create("Mornings", public=False)
    spotify.playlist_replace_items(playlist["id"], [item["track"]["uri"] for item in items])
    assert len(simulator.playlists("ada")[0]["items"]) == 50
    assert spotify.track(items[0]["track"]["id"])["name"] == items[0]["track"]["name"]
    with pytest.raises(spotipy.SpotifyException) as removed:
        spotify.tracks([items[0]["track"]["id"]])
    assert removed.value.http_status == 403


def test_spotipy_keeps_retry_after_and_the_reason(simulator: SimulatorClient) -> None:
    spotify = client(simulator, simulator.refresh_token("ada"))
    simulator.plan_faults({"match": "/v1/me", "kind": "quota", "retry_after": 50_000})
    with pytest.raises(spotipy.SpotifyException) as refused:
        spotify.current_user()
    assert (refused.value.http_status, refused.value.headers["Retry-After"]) == (429, "50000")


def test_spotipy_with_a_dead_token(simulator: SimulatorClient) -> None:
    authorization = simulator.refresh_token("ada")
    simulator.revoke("ada")
    with pytest.raises(spotipy.SpotifyOauthError) as dead:
        client(simulator, authorization).current_user()
    assert dead.value.error == "invalid_grant"


def test_the_demo_listeners_are_served_with_their_whole_histories() -> None:
    with simulator_server(now=NOW) as simulator:
        first = simulator.truth("carl", to="2023-10-20")
    assert first[0]["started_at"] < "2023-10-17"
    assert {play["session_type"] for play in first} <= {
        session_type.name for session_type in LISTENERS[2].session_types
    }
    assert datetime.fromisoformat(first[0]["ended_at"]).tzinfo == UTC
