-- Features of one listener's sessions, in the order of ml.centroids.FEATURES; of the given days, or of all when null.
-- In a listener's first weeks on record everything is a first listen, which says nothing of the session: unknown.
select
    session_id,
    local_date,
    plays,
    minutes,
    unique_artists,
    artist_entropy,
    repeat_rate,
    case when local_date >= f.first_day + %(settling_days)s then discovery_rate end as discovery_rate,
    skip_rate,
    shuffle_rate,
    album_run_rate,
    start_hour_sin,
    start_hour_cos,
    is_weekend
from staging.session_features
cross join (
    select min(local_date) as first_day from staging.session_features where user_id = %(user_id)s
) f
where user_id = %(user_id)s and (%(days)s::date[] is null or local_date = any(%(days)s::date[]))
order by session_id
