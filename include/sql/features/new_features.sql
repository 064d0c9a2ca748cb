-- The rows that staging.session_features and session_artists should have for the changed_sessions: new_features, with the
-- columns of session_features, and new_artists.
-- Plays are read day by day, in the order of their index, so no sort is larger than a day. Sums are of whole numbers and
-- numerics: they are exact, so the order of the plays cannot change a last digit. round(x * 1e9) / 1e9 gives the same double
-- as rounding a numeric, in a fifth of the time (+ 0 makes 0 of -0).
create temp table new_features (
    like staging.session_features, artists text[] not null, artist_plays integer[] not null
) on commit drop;

insert into new_features
select
    s.user_id,
    s.session_id,
    s.local_date,
    s.plays,
    round(s.ms_played / 60000.0, 6) as minutes,
    s.unique_artists,
    s.unique_tracks,
    -- −Σ p·ln p = ln plays − Σ n·ln n / plays
    greatest(
        round((ln(s.plays) - p.n_ln_n::double precision / 1e12 / s.plays) / ln(2::double precision) * 1e9) / 1e9, 0
    ) + 0 as artist_entropy,
    1 - s.unique_tracks::double precision / s.plays as repeat_rate,
    (
        select count(*)
        from staging.track_totals t
        where t.user_id = s.user_id and t.first_played_at between s.started_at and s.ended_at
    )::double precision / s.plays as discovery_rate,
    round(p.skips / nullif(p.outcomes_known, 0), 9) as skip_rate,
    round(p.shuffled / nullif(p.shuffle_known, 0), 9) as shuffle_rate,
    p.album_runs::double precision / s.plays as album_run_rate,
    round(h.start_hour, 6) as start_hour,
    round(sin(2 * pi() * h.start_hour / 24) * 1e9) / 1e9 + 0 as start_hour_sin,
    round(cos(2 * pi() * h.start_hour / 24) * 1e9) / 1e9 + 0 as start_hour_cos,
    (extract(isodow from s.local_started_at) >= 6)::integer as is_weekend,
    coalesce(p.audio_plays, 0)::double precision / s.plays as audio_coverage,
    round(p.energy, 9) as energy,
    round(p.valence, 9) as valence,
    round(p.danceability, 9) as danceability,
    round(p.acousticness, 9) as acousticness,
    round(p.tempo, 9) as tempo,
    p.artists,
    p.artist_plays
from (
    select d.user_id, d.local_date, of_day.*
    from (
        select user_id, local_date, min(started_at) as began, max(ended_at) + interval '1 minute' as ended
        from changed_sessions
        group by user_id, local_date
    ) d
    cross join lateral (
        with plays as (
            select
                e.session_id,
                e.artist_name,
                e.skipped,
                e.ms_played,
                e.shuffle,
                e.album_name = lag(e.album_name) over session and e.artist_name = lag(e.artist_name) over session
                and e.track_id <> lag(e.track_id) over session as is_album_run
            from staging.listening_events e
            where e.user_id = d.user_id and e.played_at between d.began and d.ended
            window session as (partition by e.session_id order by e.played_at, e.event_id)
        ),

        by_artist as (
            select
                session_id,
                artist_name,
                count(*) as plays,
                count(*) filter (where ms_played >= 30000) as plays_30s,
                count(skipped) as outcomes_known,
                count(*) filter (where skipped) as skips,
                count(shuffle) as shuffle_known,
                count(*) filter (where shuffle) as shuffled,
                count(*) filter (where is_album_run) as album_runs
            from plays
            group by session_id, artist_name
        ),

        heard as (
            select
                session_id,
                array_agg(artist_name order by artist_name) as artists,
                array_agg(plays_30s::integer order by artist_name) as artist_plays,
                sum(plays * round(ln(plays) * 1e12)::bigint) as n_ln_n,
                sum(outcomes_known) as outcomes_known,
                sum(skips) as skips,
                sum(shuffle_known) as shuffle_known,
                sum(shuffled) as shuffled,
                sum(album_runs) as album_runs
            from by_artist
            group by session_id
        ),

        audio as (
            select
                e.session_id,
                count(*) as audio_plays,
                avg(f.energy::numeric) as energy,
                avg(f.valence::numeric) as valence,
                avg(f.danceability::numeric) as danceability,
                avg(f.acousticness::numeric) as acousticness,
                avg(f.tempo::numeric) as tempo
            from staging.listening_events e
            join audio_features f on f.track_id = e.track_id and f.energy is not null
            where e.user_id = d.user_id and e.played_at between d.began and d.ended
                and exists (select from audio_features where energy is not null)  -- else the day is not read twice
            group by e.session_id
        )

        select *
        from heard
        left join audio using (session_id)
    ) of_day
    offset 0  -- before the join below, which would read the day anew for each of its sessions
) p
-- A session that began on the day before is left out here.
join changed_sessions s on s.user_id = p.user_id and s.local_date = p.local_date and s.session_id = p.session_id
cross join lateral (select extract(epoch from s.local_started_at::time) / 3600.0 as start_hour) h;

create temp table new_artists on commit drop as
select user_id, session_id, local_date, artists, artist_plays as plays from new_features;

alter table new_features drop column artists, drop column artist_plays;

analyze new_features (user_id, session_id);
analyze new_artists (user_id, session_id);
