"""`staging.clustering_models` and `staging.session_clusters`.

One model per listener is kept: new sessions are assigned to the centroids there are; the model is fitted again only
when new sessions are many or no longer fit. It then grows out of the personas there are, or, where others tell clearly
more, takes over the ids of those they stand for.

A new model applies to new sessions at once and reaches the past step by step. A session changes its persona only if
that persona is gone or another is clearly nearer, and then it waits for its turn: at most MAX_MOVED of a listener's
sessions change for each day of listening, the newest first. Until then its row stays as an earlier model wrote it,
which its `model_version` tells. Days of listening are counted from the newest in `session_clusters`, so a run that is
repeated moves nothing more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psycopg
from psycopg import sql
from psycopg.types.json import Json

from ml.personas.centroids import (
    CONTENT,
    FEATURES,
    MIN_CLUSTER_SESSIONS,
    POINT,
    ArtistVectors,
    Centroids,
    Heard,
    clusters_from,
    transform,
)
from ml.tables import Work, listener_of, mark_days, no_cycles, replace_rows, statement, take_work

SETTLING_DAYS = 90
SAMPLE_SIZE = 4000
# Fewer sessions than this have one persona: there is too little to tell kinds of listening from chance.
MIN_SESSIONS = 40
# A model is fitted again when the history grew by this share …
REFIT_GROWTH = 0.25
# … or when this many new sessions lie this much further from their centroids than the training sessions did.
DRIFT_SESSIONS = 60
DRIFT_RATIO = 1.3
# At most this share of a listener's sessions change their persona for each day of listening.
MAX_MOVED = 0.015
CHUNK_ROWS = 20_000


@dataclass
class Model:
    """A row of `clustering_models`."""

    version: int
    centroids: Centroids
    vectors: ArtistVectors
    mix: str
    persona_ids: list[int]
    training_sessions: int
    training_distance: float


def load_model(connection: psycopg.Connection, user_id: str) -> Model | None:
    """The listener's current model, None before the first and when it is of other features."""
    row = connection.execute(
        "select feature_names, version, k, center, scale, weights, centroids, artists, artist_vectors, mix,"
        " persona_ids, training_sessions, training_distance"
        " from staging.clustering_models where user_id = %s and is_current",
        [user_id],
    ).fetchone()
    if row is None or tuple(row[0]) != POINT:
        return None
    version, k, center, scale, weights, points, artists, vectors, mix, persona_ids, sessions, distance = row[1:]
    centroids = Centroids(np.array(center), np.array(scale), np.array(weights), np.array(points).reshape(k, -1))
    artist_vectors = ArtistVectors(artists, np.array(vectors, dtype=float).reshape(-1, len(CONTENT)))
    return Model(version, centroids, artist_vectors, mix, list(persona_ids), sessions, distance)


def cluster_sessions(connection: psycopg.Connection, *, as_of: datetime) -> dict[str, int]:
    """Assign the marked days' sessions to a persona, fitting the listener's model when that is due; marks `personas`
    and `playlists`; commits.

    :return: `listeners` looked at, models `fitted`, rows `written` and `removed`.
    """
    summary = {"listeners": 0, "fitted": 0, "written": 0, "removed": 0}
    with connection.transaction():
        for work in take_work(connection, "session_clusters", as_of):
            with listener_of(connection, "session_clusters", work):
                summary["listeners"] += 1
                model = load_model(connection, work.user_id)
                reason = why_fit(connection, work, model)
                if reason:
                    model = fit_model(connection, work, model, reason)
                    summary["fitted"] += 1
                if model is None:
                    continue
                counts = assign(connection, work, model, everything=bool(reason))
                summary["written"] += counts["written"]
                summary["removed"] += counts["removed"]
                if reason or any(counts.values()):
                    mark_days(connection, "personas", work.user_id, [work.reference_day])
                    mark_days(connection, "playlists", work.user_id, [work.reference_day])
    connection.commit()
    return summary


def why_fit(connection: psycopg.Connection, work: Work, model: Model | None) -> str | None:
    """The reason to fit the listener's model now, in a sentence; None when the one there is still serves."""
    [(sessions,)] = connection.execute(
        "select count(*) from staging.session_features where user_id = %s", [work.user_id]
    ).fetchall()
    if sessions == 0:
        return None
    if model is None:
        return f"first model, of {sessions} sessions"
    grown = sessions - model.training_sessions
    if grown >= max(REFIT_GROWTH * model.training_sessions, MIN_CLUSTER_SESSIONS):
        return f"the history grew from {model.training_sessions} to {sessions} sessions"
    [(count, distance)] = connection.execute(
        "select count(*), avg(distance) from"
        " (select distance from staging.session_clusters where user_id = %s"
        " and model_version = %s and local_date > (select trained_to from staging.clustering_models where"
        " user_id = %s and"
        " version = %s) order by session_id desc limit %s) newest",
        [work.user_id, model.version, work.user_id, model.version, DRIFT_SESSIONS],
    ).fetchall()
    if count >= DRIFT_SESSIONS and distance > DRIFT_RATIO * model.training_distance:
        return (
            f"the newest {count} sessions lie {distance:.2f} from their centroids on average, the training sessions"
            f" {model.training_distance:.2f}"
        )
    return None


def fit_model(connection: psycopg.Connection, work: Work, old: Model | None, reason: str) -> Model:
    """Fit on a bounded sample, hand the old persona ids on, store the model as the listener's current one."""
    # Here, for scikit-learn is imported only when a model is due.
    from ml.personas.clustering import MAX_CLUSTERS, SEED, SessionClusterer, match_personas

    parameters = {"user_id": work.user_id, "days": None, "sample_size": SAMPLE_SIZE, "settling_days": SETTLING_DAYS}
    rows = connection.execute(statement("clustering_sessions"), parameters).fetchall()
    sample = Sessions(rows)
    # What people see, not what the old model would say; without the sessions that it has not reached yet.
    reached = zip(sample.versions, sample.personas, strict=True)
    seen = [persona if old and version == old.version else None for version, persona in reached]
    personas = sorted({persona for persona in seen if persona is not None})
    before = np.array([personas.index(p) if p is not None else -1 for p in seen])
    clusterer = SessionClusterer(max_clusters=MAX_CLUSTERS if len(rows) >= MIN_SESSIONS else 1)
    clusterer.fit(sample.features, sample.heard, before, old.mix if old else None)

    [(version, next_id)] = connection.execute(
        "select coalesce(max(version), 0) + 1, coalesce(max(persona_id), 0) + 1"
        " from staging.clustering_models left join lateral unnest(persona_ids) persona_id on true where user_id = %s",
        [work.user_id],
    ).fetchall()
    known = before >= 0
    if clusterer.kept_:
        matched = dict(enumerate(personas))
    elif known.any():
        matched = match_personas(
            np.array(personas)[before[known]], clusterer.predict(sample.features, sample.heard)[known]
        )
    else:
        matched = {}
    persona_ids = []
    for cluster in range(clusterer.n_clusters_):
        if cluster not in matched:
            matched[cluster], next_id = next_id, next_id + 1
        persona_ids.append(matched[cluster])
    [(sessions,)] = connection.execute(
        "select count(*) from staging.session_features where user_id = %s", [work.user_id]
    ).fetchall()

    connection.execute(
        "update staging.clustering_models set is_current = false where user_id = %s and is_current",
        [work.user_id],
    )
    days = [row[1] for row in rows]
    values = {
        "user_id": work.user_id,
        "version": version,
        "is_current": True,
        "k": clusterer.n_clusters_,
        "seed": SEED,
        "feature_names": list(POINT),
        "center": clusterer.centroids_.center.tolist(),
        "scale": clusterer.centroids_.scale.tolist(),
        "weights": clusterer.centroids_.weights.tolist(),
        "centroids": clusterer.centroids_.points.ravel().tolist(),
        "artists": list(clusterer.vectors_.artists),
        "artist_vectors": clusterer.vectors_.vectors.ravel().tolist(),
        "mix": clusterer.mix_,
        "persona_ids": persona_ids,
        "lift": clusterer.lift_,
        "silhouette": clusterer.silhouette_,
        "stability": clusterer.stability_,
        "candidates": Json(clusterer.candidates_),
        "training_sessions": sessions,
        "trained_from": min(days),
        "trained_to": max(days),
        "as_of": work.reference_day,
        "reason": reason,
        "training_distance": clusterer.training_distance_,
    }
    connection.execute(
        sql.SQL("insert into staging.clustering_models ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Placeholder, values))
        ),
        values,
    )
    return Model(
        version,
        clusterer.centroids_,
        clusterer.vectors_,
        clusterer.mix_,
        persona_ids,
        sessions,
        clusterer.training_distance_,
    )


@no_cycles()
def assign(connection: psycopg.Connection, work: Work, model: Model, *, everything: bool) -> dict[str, int]:
    """Write the cluster and persona of each session of the marked days, or of all, and of those whose turn it is to
    follow the model."""
    [(sessions, days_since)] = connection.execute(
        statement("listening_days_since"), {"user_id": work.user_id}
    ).fetchall()
    most = int(MAX_MOVED * sessions * days_since)
    days = None
    if not everything:
        turn = connection.execute(
            "select local_date from staging.session_clusters where user_id = %s and model_version < %s"
            " order by session_id desc limit %s",
            [work.user_id, model.version, most],
        )
        days = sorted({*work.days, *(day for (day,) in turn)})
    parameters = {"user_id": work.user_id, "days": days, "sample_size": None, "settling_days": SETTLING_DAYS}
    rows = connection.cursor(binary=True).execute(statement("clustering_sessions"), parameters)
    return replace_rows(
        connection,
        "session_clusters",
        ["user_id", "session_id"],
        ["user_id", "session_id", "local_date", "model_version", "cluster", "persona_id", "distance"],
        assignments(work.user_id, rows, model, most=most),
        {"user_id": work.user_id} | ({} if days is None else {"local_date": days}),
    )


def assignments(user_id: str, sessions: psycopg.Cursor, model: Model, *, most: int) -> Iterator[tuple]:
    """Rows of `session_clusters` for rows of clustering_sessions, the oldest first.

    :param most: how many of the sessions that an earlier model assigned may change their persona: the newest of those
        that do not belong to theirs any more. The rows of the others stay as they are.
    """
    cluster_of = {persona: cluster for cluster, persona in enumerate(model.persona_ids)}
    keys: list[tuple] = []
    stored: list[tuple] = []
    distances = [np.empty((0, len(model.persona_ids)))]
    while rows := sessions.fetchmany(CHUNK_ROWS):
        chunk = Sessions(rows)
        keys += [row[:2] for row in rows]
        stored += [row[2:6] for row in rows]
        points = np.column_stack([chunk.features, model.vectors.content(chunk.heard)])
        distances.append(model.centroids.distances(points))
    distance, every = np.concatenate(distances), np.arange(len(keys))
    versions, _, personas, far = zip(*stored, strict=True) if stored else ((),) * 4
    had = np.array([cluster_of.get(persona, -1) for persona in personas], dtype=int)
    version = np.array([0 if v is None else v for v in versions], dtype=int)
    clusters = clusters_from(distance, had)
    # A session that is as it was stays where this model put it.
    as_it_was = (version == model.version) & (distance[every, had] == np.array(far, dtype=float))
    clusters = np.where(as_it_was, had, clusters)
    waits = waiting((version > 0) & (version < model.version) & (clusters != had), most)
    of_cluster = distance[every, clusters].tolist()
    for row, (key, cluster) in enumerate(zip(keys, clusters.tolist(), strict=True)):
        if waits[row]:
            yield user_id, *key, *stored[row]
        else:
            yield user_id, *key, model.version, cluster, model.persona_ids[cluster], of_cluster[row]


def waiting(moves: np.ndarray, most: int) -> np.ndarray:
    """Which sessions keep their persona for now: all that would change it, but the newest `most` of them.

    :param moves: (sessions,) whether each would change, the oldest first.
    """
    return moves & (np.cumsum(moves[::-1])[::-1] > most)


class Sessions:
    """Rows of clustering_sessions as arrays.

    :ivar versions, personas: the model that assigned each, and the persona that each has so far, or None.
    :ivar features: (sessions, len(FEATURES)) from `transform`; null is nan.
    """

    def __init__(self, rows: Sequence[tuple]):
        self.versions = [row[2] for row in rows]
        self.personas = [row[4] for row in rows]
        self.heard = Heard.of([row[6] for row in rows], [row[7] for row in rows])
        self.features = transform(np.array([row[8:] for row in rows], dtype=float).reshape(-1, len(FEATURES)))
