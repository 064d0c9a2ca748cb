-- One listener's sessions as the clustering reads them, oldest first: the row of session_clusters, if there is one, the
-- artists, and the features in the order of ml.personas.centroids.FEATURES. Sessions of the given days, or of all days if null;
-- at most sample_size of them, always the same ones (the first by hash).
-- In a listener's first weeks on record every track is a first listen, which says nothing about the session: discovery_rate
-- is null there.
with chosen as (
    select *
    from staging.session_features
    where user_id = %(user_id)s and (%(days)s::date[] is null or local_date = any(%(days)s::date[]))
    order by case when %(sample_size)s::integer is not null then md5(session_id::text) end
    limit %(sample_size)s::integer
)

select
    s.session_id,
    s.local_date,
    c.model_version,
    c.cluster,
    c.persona_id,
    c.distance,
    a.artists,
    a.plays,
    s.plays,
    s.minutes,
    s.unique_artists,
    s.artist_entropy,
    s.repeat_rate,
    case when s.local_date >= f.first_day + %(settling_days)s then s.discovery_rate end as discovery_rate,
    s.skip_rate,
    s.shuffle_rate,
    s.album_run_rate,
    s.start_hour_sin,
    s.start_hour_cos,
    s.is_weekend
from chosen s
join staging.session_artists a on a.user_id = s.user_id and a.session_id = s.session_id
left join staging.session_clusters c on c.user_id = s.user_id and c.session_id = s.session_id
cross join (
    select min(local_date) as first_day from staging.session_features where user_id = %(user_id)s
) f
order by s.session_id
