"""The ml steps on a real database, from plays of the demo's listeners."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from sklearn.metrics import adjusted_rand_score

from include.demo.catalog import Track
from include.demo.listeners import DORA, invent_listener
from include.demo.listening_history import History, build_history
from include.stack.local import postgres
from ml.evaluation.personas import lift_of, lift_of_kinds, read_listener
from ml.features.session_features import build_session_features
from ml.personas.personas import ARTIST_PHRASE, LEADER_RATIO, LEADER_SHARE, phrase, say
from ml.personas.session_clusters import cluster_sessions
from ml.playlists.playlists import COMPANION_REASONS, LENGTH, NEW_MAX_PLAYS, REST_DAYS, generate_playlists
from tests.integration.ml.staging import fill, run_steps, snapshot

BORN = date(2024, 1, 1)
MIDDLE = datetime(2024, 10, 1, tzinfo=UTC)
NOW = datetime(2025, 3, 1, tzinfo=UTC)


def life_of(seed: int, until: datetime = NOW, busyness: float = 1.0) -> History:
    return build_history(invent_listener(f"listener {seed}", seed, first_day=BORN, busyness=busyness), until=until)


@pytest.fixture(scope="module")
def built_template(pg_socket: Path, template_database: str) -> Iterator[str]:
    """Two listeners with nine months who share, and one with 12 plays, all steps run: a database to copy."""
    name = "ml_template"
    postgres.create_database(pg_socket, name, owner="listening_owner", template=template_database)
    with psycopg.connect(postgres.conninfo(pg_socket, name, "listening_writer")) as connection:
        for life in (
            life_of(7, MIDDLE),
            life_of(8, MIDDLE),
            build_history(DORA, until=datetime(2026, 12, 1, tzinfo=UTC)),
        ):
            fill(connection, life)
        connection.execute("update listeners set shares_history = true where user_id like 'listener%'")
        run_steps(connection, datetime(2026, 12, 1, tzinfo=UTC))
    yield name
    postgres.drop_database(pg_socket, name)


@pytest.fixture
def built(pg_socket: Path, built_template: str) -> Iterator[psycopg.Connection]:
    name = f"{built_template}_copy"
    postgres.create_database(pg_socket, name, owner="listening_owner", template=built_template)
    with psycopg.connect(postgres.conninfo(pg_socket, name, "listening_writer")) as connection:
        yield connection
    postgres.drop_database(pg_socket, name)


@pytest.mark.parametrize("seed", [801, 802, 803, 804, 805])
def test_clusters_tell_what_the_kinds_of_session_tell(connection, seed):
    """On seeds that nothing was tuned on: the personas tell a good part of what the session types do, of which they
    know nothing, of later sessions' artists.

    Types overlap as those of real listeners do, and differ in when and how more than in what: personas are not the
    types themselves (the adjusted Rand index of the two is printed).
    """
    life = life_of(seed)
    fill(connection, life)
    build_session_features(connection, as_of=NOW)
    cluster_sessions(connection, as_of=NOW)
    music = {play.session for play in life.plays if isinstance(play.item, Track)}
    truth = {life.plays[s.first_play].started_ms: s.session_type for i, s in enumerate(life.sessions) if i in music}
    found = dict(connection.execute("select session_id, persona_id from staging.session_clusters").fetchall())
    known = [session for session in found if session in truth]
    rand = adjusted_rand_score([truth[s] for s in known], [found[s] for s in known])
    kinds, clusters = len(set(truth.values())), len(set(found.values()))
    print(f"seed {seed}: ARI {rand:.3f}, {clusters} clusters of {kinds} kinds, {len(known)} sessions")
    # sessions lived less than half an hour apart are one session to the pipeline
    assert len(known) > 0.97 * len(truth)
    listener = read_listener(connection, life.listener.user_id)
    types = {name: number for number, name in enumerate(sorted(set(truth.values())))}
    of_types = lift_of_kinds(listener, np.array([types[truth.get(session, min(types))] for session in sorted(found)]))
    told = lift_of(listener, listener.personas_of)
    print(f"bits a play told: {told:.3f} by personas, {of_types:.3f} by the types themselves")
    assert told >= 0.25 * of_types > 0
    assert 2 <= clusters <= kinds + 1


def test_a_second_run_without_news_changes_no_row(built):
    before = snapshot(built, with_xmin=True)
    run_steps(built, datetime(2026, 12, 2, tzinfo=UTC))
    assert snapshot(built, with_xmin=True) == before


def test_the_same_days_again_change_no_row(built):
    """A replay marks days that need nothing: the steps look, and leave every row as it is."""
    before = snapshot(built, with_xmin=True)
    built.execute(
        "insert into pending_days select s, user_id, local_date from staging.listening_sessions,"
        " unnest(array['session_features', 'user_features', 'session_clusters', 'personas',"
        " 'artist_cooccurrence', 'playlists']) s"
        " on conflict do nothing"
    )
    built.commit()
    run_steps(built, datetime(2026, 12, 1, tzinfo=UTC))
    assert snapshot(built, with_xmin=True) == before


def test_session_by_session_is_all_at_once(connection, owner_conninfo):
    """Day by day, co-occurrence and features end where one run over everything ends."""
    life = life_of(9, busyness=0.4)
    middle = datetime(2024, 9, 1, tzinfo=UTC)
    fill(connection, life, until=middle)
    run_steps(connection, middle)
    for day in range(0, 20, 4):
        since = middle + timedelta(days=day)
        fill(connection, life, since=since, until=since + timedelta(days=4))
        run_steps(connection, since + timedelta(days=4))
    tables = ("session_features", "session_artists", "artist_cooccurrence", "user_features")
    stepwise = snapshot(connection, tables)
    for table in tables:
        connection.execute(f"delete from staging.{table}")
    connection.execute(
        "insert into pending_days select s, user_id, local_date from staging.listening_sessions,"
        " unnest(array['session_features', 'user_features', 'artist_cooccurrence']) s on conflict do nothing"
    )
    run_steps(connection, middle + timedelta(days=20))
    assert snapshot(connection, tables) == stepwise


def test_audio_features_that_come_late_reach_the_sessions_they_belong_to(built):
    """Of every listener who heard the track, also in sessions that began the day before; other sessions stay."""
    [(track,)] = built.execute(
        "select track_id from staging.track_totals group by track_id order by count(*) desc, sum(plays) desc limit 1"
    ).fetchall()
    expected = built.execute(
        "select distinct user_id, session_id from staging.listening_events where track_id = %s order by 1, 2", [track]
    ).fetchall()
    before = snapshot(built, ["session_features"])["session_features"]
    store = (
        "insert into audio_features (track_id, source, status, energy, valence) values (%s, 'reccobeats', %s, %s, %s)"
        " on conflict (track_id) do update set status = excluded.status, energy = excluded.energy,"
        " valence = excluded.valence"
    )
    marks = "select count(*) from pending_days where step = 'session_features'"
    built.execute(store, [track, "unknown", None, None])
    assert built.execute(marks).fetchone() == (0,)
    for energy in (0.25, 0.75):
        built.execute(store, [track, "found", energy, 0.5])
        built.commit()
        build_session_features(built, as_of=NOW)
        found = built.execute(
            "select user_id, session_id from staging.session_features where energy = %s and valence = 0.5"
            " and audio_coverage > 0 order by user_id, session_id",
            [energy],
        ).fetchall()
        assert found == expected
    built.execute(store, [track, "found", 0.75, 0.5])
    assert built.execute(marks).fetchone() == (0,)
    built.execute(store, [track, "unknown", None, None])
    built.commit()
    build_session_features(built, as_of=NOW)
    assert snapshot(built, ["session_features"])["session_features"] == before


def test_a_new_listener_has_one_persona_and_a_playlist(built):
    personas = built.execute(
        "select label, sessions, is_active from staging.personas where user_id = 'dora'"
    ).fetchall()
    assert [row[2] for row in personas] == [True]
    [(tracks,)] = built.execute("select tracks from staging.playlists where user_id = 'dora'").fetchall()
    [(heard,)] = built.execute("select count(*) from staging.track_totals where user_id = 'dora'").fetchall()
    assert 0 < tracks <= heard
    [(model,)] = built.execute("select reason from staging.clustering_models where user_id = 'dora'").fetchall()
    assert model.startswith("first model, of")


def test_personas_are_named_and_playlists_are_full(built):
    for user_id in ("listener 7", "listener 8"):
        labels = [row[0] for row in built.execute("select label from staging.personas where user_id = %s", [user_id])]
        assert len(labels) == len(set(labels)) >= 2
        tracks = [row[0] for row in built.execute("select tracks from staging.playlists where user_id = %s", [user_id])]
        assert len(tracks) == len(labels)
        assert min(tracks) >= 20


def test_the_parts_of_a_score_add_up_to_it(built):
    rows = built.execute(
        "select score, score_persona + score_history + score_cooccurrence + score_freshness from"
        " staging.playlist_tracks"
    ).fetchall()
    assert rows
    assert all(score == pytest.approx(total, abs=1e-5) for score, total in rows)


def test_nothing_habitually_skipped_is_offered(built):
    wrong = built.execute(
        "select t.track_id from staging.playlist_tracks t join staging.playlists p using (user_id, playlist_id)"
        " cross join lateral (select sum(skips) as skips, sum(plays) as plays from staging.track_days d"
        " where d.user_id = t.user_id and d.track_id = t.track_id) d"
        " where d.skips >= 2 and d.skips * 2 >= d.plays"
    ).fetchall()
    assert wrong == []


def shared_tracks(connection: psycopg.Connection, *, dora: bool, others: bool) -> int:
    """Let dora, who has 12 plays, and the others share or not; how many tracks of others her playlists have then."""
    connection.execute(
        "update listeners set shares_history = case user_id when 'dora' then %s else %s end", [dora, others]
    )
    connection.execute("insert into pending_days values ('playlists', 'dora', '2025-01-01') on conflict do nothing")
    run_steps(connection, datetime(2026, 12, 1, tzinfo=UTC))
    return count(
        connection,
        "select count(*) from staging.playlist_tracks t where t.user_id = %(user)s and not exists"
        " (select from staging.track_totals o where o.user_id = t.user_id and o.track_id = t.track_id)",
        {"user": "dora"},
    )


def test_tracks_of_others_come_only_where_both_share(built):
    assert shared_tracks(built, dora=True, others=True) >= 8
    assert shared_tracks(built, dora=True, others=False) == 0
    assert shared_tracks(built, dora=False, others=True) == 0


def count(connection: psycopg.Connection, statement: str, parameters: dict) -> int:
    return connection.execute(statement, parameters).fetchone()[0] or 0


PLAYS = "select count(*) from staging.listening_events where user_id = %(user)s and local_date <= %(day)s"
LATELY = " and local_date > %(day)s::date - 28"
INSIDE = (
    "select count(*) from staging.listening_events e join staging.session_clusters c using (user_id, session_id)"
    " where e.user_id = %(user)s and e.track_id = %(track)s and c.persona_id = %(persona)s and e.local_date <= %(day)s"
)
TOGETHER = (
    "select count(*) from (select session_id from staging.listening_events where user_id = %(user)s and artist_name in"
    " (%(artist)s, %(other)s) group by session_id having count(distinct artist_name) = 2) both_heard"
)


DAYS_HEARD = (
    "select array_agg(%(day)s::date - local_date order by local_date desc) from (select local_date from"
    " staging.listening_events where user_id = %(user)s and track_id = %(track)s and local_date <= %(day)s"
    " group by local_date having bool_or(not skipped)) days"
)
RETURNS = (
    "select count(*) from (select local_date - lag(local_date) over (partition by track_id order by local_date) as gap"
    " from (select track_id, local_date from staging.listening_events where user_id = %(user)s and artist_name ="
    " %(artist)s and local_date <= %(day)s group by track_id, local_date having bool_or(not skipped)) heard) gaps"
    f" where gap >= {REST_DAYS}"
)
LAST_SESSIONS_WITH = (
    "select count(distinct session_id) from staging.listening_events where user_id = %(user)s and track_id = %(track)s"
    " and not skipped and session_id in (select session_id from staging.listening_sessions where user_id = %(user)s and"
    " local_date <= %(day)s order by session_id desc limit 20)"
)


def reasons_counted_again(built: psycopg.Connection) -> dict[str, int]:
    """Count every number in every reason again from the plays; how often each kind of phrase stands there."""
    rows = built.execute(
        "select t.user_id, t.track_id, t.artist_name, t.kind, t.reason, p.persona_id, p.as_of, p.name, p.playlist_id"
        " from staging.playlist_tracks t join staging.playlists p using (user_id, playlist_id)"
    ).fetchall()
    seen, companions = defaultdict(int), defaultdict(int)
    for user, track, artist, kind, reason, persona, day, label, playlist in rows:
        parameters = {"user": user, "track": track, "artist": artist, "persona": persona, "day": day}
        rest = reason
        own_plays = count(built, PLAYS + " and track_id = %(track)s", parameters)
        heard = built.execute(DAYS_HEARD, parameters).fetchone()[0] or []
        assert 1 <= len(reason.removesuffix(".").split(". ")) <= 2
        assert not re.search(r"\b1 (times|plays|sessions|days|different days)\b", reason)
        assert not re.search(r"\b(\d{2,}|[02-9]) (time|play|session|day)\b", reason)

        def take(name: str, pattern: str):
            nonlocal rest
            match = re.search(pattern, rest)
            if match:
                seen[name] += 1
                rest = rest.replace(match.group(0), "", 1)
            return match

        if m := take("shared", r"New to you: (.+) has played it (\d+) times?"):
            parameters["other"] = built.execute(
                "select user_id from listeners where display_name = %s", [m[1]]
            ).fetchone()[0]
            both = "select count(*) from listeners where user_id in (%(user)s, %(other)s) and shares_history"
            assert (kind, own_plays, count(built, both, parameters)) == ("new", 0, 2)
            theirs = count(built, PLAYS.replace("%(user)s", "%(other)s") + " and track_id = %(track)s", parameters)
            assert theirs == int(m[2])
        elif m := take("rediscovered", r"You played it (\d+) times? since (\w+ \d+), but not for (\d+) days"):
            first, last = built.execute(
                "select min(local_date), max(local_date) from staging.listening_events where user_id = %s and"
                " track_id = %s",
                [user, track],
            ).fetchone()
            said = (int(m[1]), m[2], int(m[3]))
            assert (kind, own_plays, f"{first:%B %Y}", (day - last).days) == ("rediscovered", *said)
            assert int(m[3]) >= REST_DAYS
        elif m := take("new", r"Hardly known to you yet: first played on (\d+ \w+ \d+), (\d+) plays? so far"):
            first = built.execute(
                "select min(local_date) from staging.listening_events where user_id = %s and track_id = %s",
                [user, track],
            ).fetchone()[0]
            assert (kind, own_plays, f"{first.day} {first:%B %Y}") == ("new", int(m[2]), m[1])
            assert own_plays <= NEW_MAX_PLAYS
            assert (day - first).days < REST_DAYS
        else:
            assert kind == "familiar"
        if m := take("plays", r"You played it (\d+) times? in the last 28 days"):
            assert count(built, PLAYS + LATELY + " and track_id = %(track)s", parameters) == int(m[1])
        elif m := take("in all", r"You played it (\d+) times? since (\w+ \d+)"):
            assert own_plays == int(m[1])
        if m := take("days lately", r"You came back to it on (\d+) of the last 14 days"):
            assert sum(ago < 14 for ago in heard) == int(m[1])
        if m := take("days", r"You came back to it on (\d+) different days"):
            assert len(heard) == int(m[1])
        if m := take("overdue", r"You usually come back to it after (\d+) days?, and now it has been (\d+)"):
            usual = (heard[-1] - heard[0]) / (len(heard) - 1)
            assert (f"{usual:.0f}", heard[0]) == (m[1], int(m[2]))
            assert heard[0] > usual
        if m := take("inside", rf"(\d+|All) of its (\d+) plays (?:was|were) in “{re.escape(label)}” sessions"):
            assert own_plays == int(m[2])
            assert count(built, INSIDE, parameters) == (own_plays if m[1] == "All" else int(m[1]))
        if m := take("artist", rf"You played {re.escape(artist)} (\d+) times? in the last 7 days"):
            lately = PLAYS + LATELY.replace("28", "7") + " and artist_name = %(artist)s"
            assert count(built, lately, parameters) == int(m[1])
        if m := take("returns", rf"You came back to songs by {re.escape(artist)} (\d+) times after 60 days or more"):
            assert count(built, RETURNS, parameters) == int(m[1])
        if m := take("last sessions", r"It was heard in (\d+) of your last 20 sessions"):
            assert count(built, LAST_SESSIONS_WITH, parameters) == int(m[1])
        if m := take(
            "beside",
            rf"{re.escape(artist)} goes with (.+), whom you played (\d+) times? in the last 28 days:"
            r" together in (\d+) sessions?",
        ):
            companions[user, playlist, m[1]] += 1
            assert count(built, TOGETHER, parameters | {"other": m[1]}) == int(m[3])
            lately = PLAYS + LATELY + " and artist_name = %(other)s"
            assert count(built, lately, parameters | {"other": m[1]}) == int(m[2])
        assert not re.search(r"\w", rest), (reason, rest)
    assert max(companions.values(), default=0) <= COMPANION_REASONS
    return seen


def test_every_number_in_a_reason_is_counted_again_from_the_plays(built):
    shared_tracks(built, dora=True, others=True)
    phrases = "rediscovered, new, shared, plays, days lately, overdue, inside, artist, returns, last sessions, beside"
    assert set(reasons_counted_again(built)) >= set(phrases.split(", "))


def test_a_listeners_playlists_have_little_in_common(built):
    common = built.execute(
        "select count(*) from staging.playlist_tracks a join staging.playlist_tracks b using (user_id, track_id)"
        " where user_id like 'listener%' and a.playlist_id < b.playlist_id"
        " group by user_id, a.playlist_id, b.playlist_id"
    ).fetchall()
    assert all(row[0] <= 0.15 * LENGTH for row in common)


def test_nothing_in_a_playlist_was_never_heard(built):
    """A track that was only ever skipped, or cut off before 30 s, is not known."""
    shared_tracks(built, dora=True, others=True)
    [(offered,)] = built.execute(
        "select track_id from staging.playlist_tracks where user_id = 'listener 7' and kind = 'familiar' limit 1"
    ).fetchall()
    built.execute(
        "update staging.listening_events set ms_played = 29000 where user_id = 'listener 7' and track_id = %s",
        [offered],
    )
    [(unknown,)] = built.execute(
        "select track_id from staging.playlist_tracks where user_id = 'listener 7' and kind = 'familiar'"
        " and track_id <> %s limit 1",
        [offered],
    ).fetchall()
    built.execute(
        "update staging.track_days set skips = plays, heard = 0 where user_id = 'listener 7' and track_id = %s",
        [unknown],
    )
    built.execute("insert into pending_days values ('playlists', 'listener 7', '2025-01-01') on conflict do nothing")
    built.commit()
    generate_playlists(built, as_of=datetime(2026, 12, 1, tzinfo=UTC))
    kept = built.execute(
        "select track_id from staging.playlist_tracks join staging.playlists using (user_id, playlist_id)"
        " where user_id = 'listener 7' and track_id = any(%s)",
        [[offered, unknown]],
    ).fetchall()
    assert kept == []


MEASURES = {
    "night": "avg((start_hour >= 22 or start_hour < 5)::int)",
    "morning": "avg((start_hour >= 5 and start_hour < 10)::int)",
    "midday": "avg((start_hour >= 10 and start_hour < 14)::int)",
    "afternoon": "avg((start_hour >= 14 and start_hour < 18)::int)",
    "evening": "avg((start_hour >= 18 and start_hour < 22)::int)",
    "weekend": "avg(is_weekend)",
    "minutes": "percentile_disc(0.5) within group (order by minutes)",
    "unique_artists": "percentile_disc(0.5) within group (order by unique_artists)",
    "discovery": "avg(discovery_rate) filter (where f.local_date >= first_day + 90)",
    "repeat": "avg(repeat_rate)",
    "album": "avg(album_run_rate)",
    "shuffle": "avg(shuffle_rate)",
    "skip": "avg(skip_rate)",
}


def artist_share(connection: psycopg.Connection, user_id: str, artist: str, persona_id: int, whose: str) -> float:
    """Share of the plays of 30 s or more that are the artist's, in the persona's sessions or in the others."""
    [(mine, every)] = connection.execute(
        "select count(*) filter (where artist_name = %(artist)s), count(*) from staging.listening_events"
        " join staging.session_clusters using (user_id, session_id)"
        f" where user_id = %(user)s and ms_played >= 30000 and persona_id {whose} %(persona)s",
        {"artist": artist, "user": user_id, "persona": persona_id},
    )
    return mine / max(every, 1)


def test_every_number_in_a_personas_explanation_is_computed_again(built):
    columns = ", ".join(MEASURES.values())
    query = (
        f"select {columns}, count(*), coalesce(sum(ms_played), 0) from staging.session_features f"
        " join staging.session_clusters using (user_id, session_id)"
        " join staging.listening_sessions s using (user_id, session_id)"
        " cross join (select min(local_date) as first_day from staging.listening_sessions where user_id = %(user)s) d"
        " where user_id = %(user)s and persona_id {} %(persona)s"
    )
    query = query.replace("minutes)", "f.minutes)").replace("unique_artists)", "f.unique_artists)")
    rows = built.execute("select user_id, persona_id, explanation, traits from staging.personas").fetchall()
    kinds = defaultdict(int)
    for user_id, persona_id, explanation, traits in rows:
        mine, rest_of_them = (
            built.execute(query.format(whose), {"user": user_id, "persona": persona_id}).fetchone()
            for whose in ("=", "<>")
        )
        profile, others = (dict(zip(MEASURES, values, strict=False)) for values in (mine, rest_of_them))
        share = float(mine[-1]) / float(mine[-1] + rest_of_them[-1])
        rest = explanation
        noun = "session" if mine[-2] == 1 else "sessions"
        opening = f"{mine[-2]} {noun}, {100 * share:.0f} % of the time you listened"
        assert rest.startswith(opening)
        rest = rest.removeprefix(opening)
        for measure in MEASURES:
            for below in (False, True):
                said = phrase(measure, profile, others, below=below)
                for text in (said, said.split(" (")[0]):
                    if text in rest:
                        rest = rest.replace(text, "", 1)
                        kinds[measure] += 1
        for artist in traits["name"]["artists"]:
            value, usual = (artist_share(built, user_id, artist, persona_id, whose) for whose in ("=", "<>"))
            said = ARTIST_PHRASE.format(artist=artist, value=say("share", value), usual=say("share", usual))
            assert said in rest
            assert value >= LEADER_SHARE
            assert value >= LEADER_RATIO * usual
            rest = rest.replace(said, "", 1)
            kinds["artist"] += 1
        assert not re.search(r"\d", rest), (explanation, rest)
    assert kinds["artist"] >= 3
    assert sum(kinds.values()) >= len(rows)
