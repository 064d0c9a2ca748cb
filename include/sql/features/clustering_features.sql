-- Features of one listener's sessions, in the order of ml.clustering.FEATURES; of the given days, or of all when null.
select
    session_id,
    local_date,
    plays,
    minutes,
    unique_artists,
    artist_entropy,
    repeat_rate,
    discovery_rate,
    skip_rate,
    shuffle_rate,
    album_run_rate,
    start_hour_sin,
    start_hour_cos,
    is_weekend
from staging.session_features
where user_id = %(user_id)s and (%(days)s::date[] is null or local_date = any(%(days)s::date[]))
order by session_id
