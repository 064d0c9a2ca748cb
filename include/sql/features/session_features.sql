-- staging.session_features from new_features: writes what differs, removes rows of sessions that are gone, marks
-- session_clusters.
create temp table added_features on commit drop as
select n.*
from new_features n
where not exists (
    select from staging.session_features f
    where f.user_id = n.user_id and f.session_id = n.session_id
        and (
            f.local_date, f.plays, f.minutes, f.unique_artists, f.unique_tracks, f.artist_entropy, f.repeat_rate,
            f.discovery_rate, f.skip_rate, f.shuffle_rate, f.album_run_rate, f.start_hour, f.start_hour_sin,
            f.start_hour_cos, f.is_weekend, f.audio_coverage, f.energy, f.valence, f.danceability, f.acousticness,
            f.tempo
        ) is not distinct from (
            n.local_date, n.plays, n.minutes, n.unique_artists, n.unique_tracks, n.artist_entropy, n.repeat_rate,
            n.discovery_rate, n.skip_rate, n.shuffle_rate, n.album_run_rate, n.start_hour, n.start_hour_sin,
            n.start_hour_cos, n.is_weekend, n.audio_coverage, n.energy, n.valence, n.danceability, n.acousticness,
            n.tempo
        )
);

create temp table changed_days (
    user_id text not null, local_date date not null, written bigint not null, removed bigint not null
) on commit drop;

insert into changed_days select user_id, local_date, count(*), 0 from added_features group by user_id, local_date;

with
gone as (
    delete from staging.session_features f
    using marked_days m
    where m.user_id = f.user_id and m.day = f.local_date
        and not exists (
            select from new_features n where n.user_id = f.user_id and n.session_id = f.session_id
        )
    returning f.user_id, f.local_date
),
outdated as (
    delete from staging.session_features f
    using added_features n
    where n.user_id = f.user_id and n.session_id = f.session_id
    returning f.user_id, f.local_date
)
insert into changed_days
select user_id, local_date, 0, count(*)
from (select * from gone union all select * from outdated) removed
group by user_id, local_date;

select staging.begin_fill('session_features', (select count(*) from added_features));

insert into staging.session_features (
    user_id, session_id, local_date, plays, minutes, unique_artists, unique_tracks, artist_entropy, repeat_rate,
    discovery_rate, skip_rate, shuffle_rate, album_run_rate, start_hour, start_hour_sin, start_hour_cos, is_weekend,
    audio_coverage, energy, valence, danceability, acousticness, tempo
)
select
    user_id, session_id, local_date, plays, minutes, unique_artists, unique_tracks, artist_entropy, repeat_rate,
    discovery_rate, skip_rate, shuffle_rate, album_run_rate, start_hour, start_hour_sin, start_hour_cos, is_weekend,
    audio_coverage, energy, valence, danceability, acousticness, tempo
from added_features;

select staging.end_fill('session_features');

select staging.refresh_statistics('session_features', (select count(*) from added_features));

insert into pending_days (step, user_id, day)
select distinct 'session_clusters', user_id, local_date from changed_days
on conflict do nothing;
