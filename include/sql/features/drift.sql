-- How far a listener's newest sessions that the model was not trained on lie from their centroids: how many there are, of at
-- most `sessions`, and their mean distance.
with newest as (
    select c.distance
    from staging.session_clusters c
    join staging.clustering_models m on m.user_id = c.user_id and m.version = c.model_version
    where c.user_id = %(user_id)s and c.model_version = %(version)s and c.local_date > m.trained_to
    order by c.session_id desc
    limit %(sessions)s
)

select count(*) as sessions, avg(distance) as distance
from newest
