"""Personas stay put from one day to the next.

With LONG_STABILITY=1 for sixty days of three listeners, which takes minutes; by default for three weeks of one.
"""

import os
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from include.demo.listeners import invent_listener
from include.demo.listening_history import build_history
from ml.features.session_features import build_session_features
from ml.personas import session_clusters
from ml.personas.personas import label_personas
from ml.personas.session_clusters import MAX_MOVED, cluster_sessions
from tests.integration.ml.staging import fill

DAYS, SEEDS = (60, (41, 42, 43)) if os.environ.get("LONG_STABILITY") else (21, (41,))


@pytest.mark.parametrize("seed", SEEDS)
def test_sessions_keep_their_persona_and_names_change_only_with_a_reason(connection, seed):
    """A run a day, the first with so little listening that models are fitted again in between."""
    start = datetime(2024, 6, 1, tzinfo=UTC)
    listener = invent_listener(f"listener {seed}", seed, first_day=start.date() - timedelta(days=2.5 * DAYS))
    life = build_history(listener, until=start + timedelta(days=DAYS))
    kept = compared = 0
    worst = 1.0
    personas: dict[int, int] = {}
    names: dict[int, str] = {}
    for day in range(DAYS + 1):
        now = start + timedelta(days=day)
        fill(connection, life, until=now, since=now - timedelta(days=1) if day else None)
        for step in (build_session_features, cluster_sessions, label_personas):
            step(connection, as_of=now)
        found = dict(connection.execute("select session_id, persona_id from staging.session_clusters").fetchall())
        same = [found.get(session) == persona for session, persona in personas.items()]
        if same:
            kept, compared = kept + sum(same), compared + len(same)
            worst = min(worst, sum(same) / len(same))
        named = connection.execute(
            "select persona_id, label, previous_label, label_reason from staging.personas"
        ).fetchall()
        for persona_id, label, previous, reason in named:
            if names.get(persona_id, label) != label:
                assert previous == names[persona_id]
                assert "no longer fits" in reason or "more is known now" in reason
        personas, names = found, {row[0]: row[1] for row in named}
    [(models,)] = connection.execute("select count(*) from staging.clustering_models").fetchall()
    print(f"seed {seed}: {kept} of {compared} kept ({kept / compared:.4f}), worst day {worst:.4f}, {models} models")
    assert models > 1
    assert worst >= 0.98


@pytest.fixture
def one_persona(connection):
    """A listener of half a year with one persona, whose next model has several: what a day adds, and the day after."""
    start = datetime(2024, 6, 1, tzinfo=UTC)
    listener = invent_listener("listener 41", 41, first_day=start.date() - timedelta(days=180))
    life = build_history(listener, until=start + timedelta(days=8))

    def live(day: int) -> None:
        now = start + timedelta(days=day)
        fill(connection, life, until=now, since=now - timedelta(days=1) if day else None)
        for step in (build_session_features, cluster_sessions, label_personas):
            step(connection, as_of=now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session_clusters, "MIN_SESSIONS", 10**6)
        live(0)
    connection.execute("update staging.clustering_models set training_sessions = 1")
    connection.commit()
    return live


def personas_of(connection) -> dict[int, int]:
    return dict(connection.execute("select session_id, persona_id from staging.session_clusters").fetchall())


def test_new_personas_reach_old_sessions_a_few_a_day_the_newest_first(connection, one_persona):
    before = personas_of(connection)
    assert set(before.values()) == {1}
    for day in range(1, 8):
        one_persona(day)
        after = personas_of(connection)
        moved = [session for session in before if after[session] != before[session]]
        assert len(moved) <= MAX_MOVED * len(before)
        waiting = [
            session
            for (session,) in connection.execute(
                "select session_id from staging.session_clusters c join staging.clustering_models m using (user_id)"
                " where m.is_current and c.model_version < m.version"
            )
        ]
        assert max(waiting) < min(moved, default=10**18)
        before = after
    assert len(set(before.values())) > 1
    shown = {row[0] for row in connection.execute("select persona_id from staging.personas where is_active")}
    sessions = list(before.values())
    assert shown == {persona for persona in set(sessions) if sessions.count(persona) >= 0.03 * len(sessions)}

    connection.execute(
        "insert into pending_days select 'session_clusters', user_id, local_date from staging.listening_sessions"
        " on conflict do nothing"
    )
    connection.commit()
    cluster_sessions(connection, as_of=datetime(2024, 6, 8, tzinfo=UTC))
    assert personas_of(connection) == before  # a run that is repeated moves nothing more


def test_in_the_end_every_session_has_the_persona_of_the_new_model(connection, one_persona, monkeypatch):
    monkeypatch.setattr(session_clusters, "MAX_MOVED", 0.4)
    for day in range(1, 4):
        one_persona(day)
    waiting = connection.execute(
        "select count(*) from staging.session_clusters c join staging.clustering_models m using (user_id)"
        " where m.is_current and c.model_version < m.version"
    ).fetchone()
    assert waiting == (0,)
    sizes = np.bincount(list(personas_of(connection).values()))
    assert (sizes >= 0.03 * sizes.sum()).sum() > 1
