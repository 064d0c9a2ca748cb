"""`staging.clustering_models` and `staging.session_clusters`.

One model per listener is kept: new sessions are assigned to the centroids there are; the model is fitted again only
when new sessions are many or no longer fit. It then grows out of the personas there are, or, where others tell clearly
more, takes over the ids of those they stand for. A session changes its persona only for one that it is clearly nearer
to.
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
    MAX_MOVED,
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
                most = 1.0
                reason = why_fit(connection, work, model)
                if reason:
                    model, most = fit_model(connection, work, model, reason)
                    summary["fitted"] += 1
                if model is None:
                    continue
                counts = assign(connection, work, model, everything=bool(reason), most=most)
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


def fit_model(connection: psycopg.Connection, work: Work, old: Model | None, reason: str) -> tuple[Model, float]:
    """Fit on a bounded sample, hand the old persona ids on, store the model as the listener's current one.

    :return: the model, and the share of the sessions that may leave their persona for it.
    """
    # Here, for scikit-learn is imported only when a model is due.
    from ml.personas.clustering import MAX_CLUSTERS, SEED, SessionClusterer, match_personas

    parameters = {"user_id": work.user_id, "days": None, "sample_size": SAMPLE_SIZE, "settling_days": SETTLING_DAYS}
    rows = connection.execute(statement("clustering_sessions"), parameters).fetchall()
    sample = Sessions(rows)
    # Not the old model's personas but those of session_clusters: what people see.
    personas = sorted({persona for persona in sample.personas if persona is not None})
    before = np.array([personas.index(p) if p is not None else -1 for p in sample.personas])
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
    model = Model(
        version,
        clusterer.centroids_,
        clusterer.vectors_,
        clusterer.mix_,
        persona_ids,
        sessions,
        clusterer.training_distance_,
    )
    return model, MAX_MOVED if clusterer.kept_ else 1.0


@no_cycles()
def assign(
    connection: psycopg.Connection, work: Work, model: Model, *, everything: bool, most: float
) -> dict[str, int]:
    """Write the cluster and persona of each session of the marked days, or of all; `most` as in `assignments`."""
    parameters = {
        "user_id": work.user_id,
        "days": None if everything else work.days,
        "sample_size": None,
        "settling_days": SETTLING_DAYS,
    }
    sessions = connection.cursor(binary=True).execute(statement("clustering_sessions"), parameters)
    return replace_rows(
        connection,
        "session_clusters",
        ["user_id", "session_id"],
        ["user_id", "session_id", "local_date", "model_version", "cluster", "persona_id", "distance"],
        assignments(work.user_id, sessions, model, is_new=everything, most=most),
        {"user_id": work.user_id} | ({} if everything else {"local_date": work.days}),
    )


def assignments(user_id: str, sessions: psycopg.Cursor, model: Model, *, is_new: bool, most: float) -> Iterator[tuple]:
    """Rows of `session_clusters` for rows of clustering_sessions.

    :param is_new: whether the model has just been fitted. Otherwise a session that is as it was keeps its persona.
    :param most: share of the sessions that may leave their persona.
    """
    cluster_of = {persona: cluster for cluster, persona in enumerate(model.persona_ids)}
    keys: list[tuple] = []
    before: list[int] = []
    stored: list[float] = []
    distances = [np.empty((0, len(model.persona_ids)))]
    while rows := sessions.fetchmany(CHUNK_ROWS):
        chunk = Sessions(rows)
        keys += [row[:2] for row in rows]
        before += [cluster_of.get(persona, -1) for persona in chunk.personas]
        stored += [row[3] if row[3] is not None else -1.0 for row in rows]
        points = np.column_stack([chunk.features, model.vectors.content(chunk.heard)])
        distances.append(model.centroids.distances(points))
    distance, had = np.concatenate(distances), np.array(before, dtype=int)
    every = np.arange(len(keys))
    clusters = clusters_from(distance, had, most=int(most * len(keys)))
    if not is_new:
        same = (had >= 0) & (distance[every, had] == np.array(stored))
        clusters = np.where(same, had, clusters)
    of_cluster = distance[every, clusters].tolist()
    for key, cluster, far in zip(keys, clusters.tolist(), of_cluster, strict=True):
        yield user_id, *key, model.version, cluster, model.persona_ids[cluster], far


class Sessions:
    """Rows of clustering_sessions as arrays.

    :ivar personas: the persona that each has so far, or None.
    :ivar features: (sessions, len(FEATURES)) from `transform`; null is nan.
    """

    def __init__(self, rows: Sequence[tuple]):
        self.personas = [row[2] for row in rows]
        self.heard = Heard.of([row[4] for row in rows], [row[5] for row in rows])
        self.features = transform(np.array([row[6:] for row in rows], dtype=float).reshape(-1, len(FEATURES)))
