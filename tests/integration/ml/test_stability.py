"""Personas stay put from one day to the next.

With LONG_STABILITY=1 for sixty days of three listeners, which takes minutes; by default for three weeks of one.
"""

import os
from datetime import UTC, datetime, timedelta

import pytest

from include.demo.listeners import invent_listener
from include.demo.listening_history import build_history
from ml.features.session_features import build_session_features
from ml.personas.personas import label_personas
from ml.personas.session_clusters import cluster_sessions
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
