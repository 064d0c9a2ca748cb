-- At most sample_size of one listener's sessions, always the same ones: those whose hashes come first.
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
where user_id = %(user_id)s
order by md5(session_id::text)
limit %(sample_size)s
