-- name: current_model
-- A listener's current model, and the names of the features it was fitted on.
select
    feature_names,
    version,
    k,
    center,
    scale,
    weights,
    centroids,
    artists,
    artist_vectors,
    mix,
    persona_ids,
    training_sessions,
    training_distance
from staging.clustering_models
where user_id = %(user_id)s and is_current;

-- name: model_personas
-- The version of a listener's current model, and the persona of each of its clusters.
select version, persona_ids
from staging.clustering_models
where user_id = %(user_id)s and is_current;

-- name: next_model
-- The version that a listener's next model gets, and the id that their next new persona gets.
select coalesce(max(m.version), 0) + 1 as version, coalesce(max(persona_id), 0) + 1 as persona_id
from staging.clustering_models m
left join lateral unnest(m.persona_ids) as persona_id on true
where m.user_id = %(user_id)s;

-- name: retire_model
update staging.clustering_models
set is_current = false
where user_id = %(user_id)s and is_current;

-- name: session_count
select count(*) as sessions
from staging.session_features
where user_id = %(user_id)s;

-- name: drift
-- How well the model still fits: number and mean distance to their centroids of a listener's newest sessions that the model
-- was not trained on, at most `sessions` of them.
with newest as (
    select c.distance
    from staging.session_clusters c
    join staging.clustering_models m on m.user_id = c.user_id and m.version = c.model_version
    where c.user_id = %(user_id)s and c.model_version = %(version)s and c.local_date > m.trained_to
    order by c.session_id desc
    limit %(sessions)s
)

select count(*) as sessions, avg(distance) as distance
from newest;
