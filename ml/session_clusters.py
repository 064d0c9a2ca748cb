"""`staging.clustering_models` and `staging.session_clusters`.

One model per listener is kept: new sessions are assigned to the centroids there are; the model is fitted again only
when new sessions are many or no longer fit, and the new centroids take over the persona ids of the old ones they stand
for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psycopg
from psycopg.types.json import Json

from ml.centroids import FEATURES, MIN_CLUSTER_SESSIONS, Centroids, transform
from ml.tables import Work, listener_of, mark_days, no_cycles, replace_rows, statement, take_work

SETTLING_DAYS = 90
SAMPLE_SIZE = 4000
# Fewer sessions than this have one persona: a silhouette over less says nothing.
MIN_SESSIONS = 40
MIN_CLUSTER_SHARE = 0.025
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
    persona_ids: list[int]
    training_sessions: int
    training_distance: float


def load_model(connection: psycopg.Connection, user_id: str) -> Model | None:
    """The listener's current model, None before the first."""
    row = connection.execute(
        "select version, k, center, scale, centroids, persona_ids, training_sessions, training_distance, feature_names"
        " from staging.clustering_models where user_id = %s and is_current",
        [user_id],
    ).fetchone()
    if row is None or tuple(row[8]) != FEATURES:
        return None
    version, k, center, scale, points, persona_ids, training_sessions, training_distance, _ = row
    centroids = Centroids(np.array(center), np.array(scale), np.array(points).reshape(k, -1))
    return Model(version, centroids, list(persona_ids), training_sessions, training_distance)


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
    from ml.clustering import MAX_CLUSTERS, SEED, SessionClusterer, match_personas

    parameters = {"user_id": work.user_id, "sample_size": SAMPLE_SIZE, "settling_days": SETTLING_DAYS}
    rows = connection.execute(statement("clustering_sample"), parameters).fetchall()
    features = transform(feature_array(rows))
    days = [row[1] for row in rows]
    smallest = max(MIN_CLUSTER_SESSIONS, int(MIN_CLUSTER_SHARE * len(rows)))
    clusterer = SessionClusterer(
        max_clusters=MAX_CLUSTERS if len(rows) >= MIN_SESSIONS else 1,
        min_cluster_size=smallest,
        previous_k=len(old.persona_ids) if old else None,
    )
    clusterer.fit(features)

    version, next_id, matched = 1, 1, {}
    if old is not None:
        version = old.version + 1
        [(next_id,)] = connection.execute(
            "select max(p) + 1 from staging.clustering_models, unnest(persona_ids) p where user_id = %s", [work.user_id]
        ).fetchall()
        previous = np.array(old.persona_ids)[old.centroids.nearest(features)]
        matched = match_personas(previous, clusterer.predict(features))
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
    connection.execute(
        "insert into staging.clustering_models (user_id, version, is_current, k, seed, feature_names,"
        " center, scale, centroids,"
        " persona_ids, silhouette, stability, candidates, training_sessions, trained_from, trained_to, as_of, reason,"
        " training_distance) values (%s, %s, true, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            work.user_id,
            version,
            clusterer.n_clusters_,
            SEED,
            list(FEATURES),
            clusterer.centroids_.center.tolist(),
            clusterer.centroids_.scale.tolist(),
            clusterer.centroids_.points.ravel().tolist(),
            persona_ids,
            clusterer.silhouette_,
            clusterer.stability_,
            Json(clusterer.candidates_),
            sessions,
            min(days),
            max(days),
            work.reference_day,
            reason,
            clusterer.training_distance_,
        ],
    )
    return Model(version, clusterer.centroids_, persona_ids, sessions, clusterer.training_distance_)


@no_cycles()
def assign(connection: psycopg.Connection, work: Work, model: Model, *, everything: bool) -> dict[str, int]:
    """Write the cluster and persona of each session of the marked days, or of all."""
    parameters = {
        "user_id": work.user_id,
        "days": None if everything else work.days,
        "settling_days": SETTLING_DAYS,
    }
    sessions = connection.cursor(binary=True).execute(statement("clustering_features"), parameters).fetchall()
    return replace_rows(
        connection,
        "session_clusters",
        ["user_id", "session_id"],
        ["user_id", "session_id", "local_date", "model_version", "cluster", "persona_id", "distance"],
        assignments(work.user_id, sessions, model),
        {"user_id": work.user_id} | ({} if everything else {"local_date": work.days}),
    )


def assignments(user_id: str, sessions: Sequence[tuple], model: Model) -> Iterator[tuple]:
    """Rows of `session_clusters` for rows of session_id, local_date, features."""
    for start in range(0, len(sessions), CHUNK_ROWS):
        chunk = sessions[start : start + CHUNK_ROWS]
        distances = model.centroids.distances(transform(feature_array(chunk)))
        clusters = distances.argmin(axis=1)
        for row, cluster, distance in zip(chunk, clusters.tolist(), distances.min(axis=1).tolist(), strict=True):
            yield user_id, row[0], row[1], model.version, cluster, model.persona_ids[cluster], distance


def feature_array(rows: Sequence[tuple]) -> np.ndarray:
    """(sessions, len(FEATURES)) from rows of session_id, local_date, features; null is nan."""
    return np.array([row[2:] for row in rows], dtype=float).reshape(-1, len(FEATURES))
