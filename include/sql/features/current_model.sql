-- A listener's current model, and the features it is of.
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
where user_id = %(user_id)s and is_current
