-- staging.session_features of the changed_sessions: writes rows that differ, removes those of sessions that are gone, marks
-- session_clusters. One pass over the plays, session by session: in this order no window and no sum needs a sort of more
-- than a session. No join between CTEs of plays, whose sizes the planner can only guess.
with plays as (
    select
        s.user_id,
        s.session_id,
        e.skipped,
        e.ms_played_is_estimated,
        e.shuffle,
        e.played_at = t.first_played_at as is_discovery,
        (e.artist_name, e.album_name) = (
            lag(e.artist_name) over in_session,
            lag(e.album_name) over in_session
        ) and e.track_id <> lag(e.track_id) over in_session as follows_on_album,
        -- whole numbers and numerics have exact sums, so that the order of the plays cannot decide a last digit
        round(ln(count(*) over by_artist) * 1e12)::bigint as ln_artist_plays,
        a.energy::numeric as energy,
        a.valence::numeric as valence,
        a.danceability::numeric as danceability,
        a.acousticness::numeric as acousticness,
        a.tempo::numeric as tempo
    from (select * from changed_sessions order by user_id, session_id) s
    cross join lateral (
        select *
        from staging.listening_events e
        where e.user_id = s.user_id and e.session_id = s.session_id
            and e.played_at between s.started_at and s.ended_at + interval '1 minute'
        offset 0
    ) e
    left join staging.track_totals t on t.user_id = e.user_id and t.track_id = e.track_id
    left join audio_features a on a.track_id = e.track_id and a.energy is not null
    window
        in_session as (partition by s.user_id, s.session_id order by e.played_at, e.event_id),
        by_artist as (partition by s.user_id, s.session_id, e.artist_name)
),

rates as (
    select
        user_id,
        session_id,
        -- Σ over plays and not over artists: −Σ p·ln p = ln n − Σ ln(plays of the play's artist) / n
        (ln(count(*)) - sum(ln_artist_plays) / 1e12 / count(*)) / ln(2) as artist_entropy,
        count(*) filter (where is_discovery)::double precision / count(*) as discovery_rate,
        avg(skipped::integer) filter (where not ms_played_is_estimated) as skip_rate,
        avg(shuffle::integer) as shuffle_rate,
        count(*) filter (where follows_on_album)::double precision / count(*) as album_run_rate,
        count(energy)::double precision / count(*) as audio_coverage,
        avg(energy) as energy,
        avg(valence) as valence,
        avg(danceability) as danceability,
        avg(acousticness) as acousticness,
        avg(tempo) as tempo
    from plays
    group by user_id, session_id
),

final as (
    select
        s.user_id,
        s.session_id,
        s.local_date,
        s.plays,
        round(s.ms_played / 60000.0, 6) as minutes,
        s.unique_artists,
        s.unique_tracks,
        greatest(round(r.artist_entropy::numeric, 9), 0) as artist_entropy,
        1 - s.unique_tracks::double precision / s.plays as repeat_rate,
        r.discovery_rate,
        round(r.skip_rate, 9) as skip_rate,
        round(r.shuffle_rate, 9) as shuffle_rate,
        r.album_run_rate,
        round(h.start_hour, 6) as start_hour,
        round(sin(2 * pi() * h.start_hour / 24)::numeric, 9) as start_hour_sin,
        round(cos(2 * pi() * h.start_hour / 24)::numeric, 9) as start_hour_cos,
        (extract(isodow from s.local_started_at) >= 6)::integer as is_weekend,
        r.audio_coverage,
        round(r.energy, 9) as energy,
        round(r.valence, 9) as valence,
        round(r.danceability, 9) as danceability,
        round(r.acousticness, 9) as acousticness,
        round(r.tempo, 9) as tempo
    from rates r
    join changed_sessions s on s.user_id = r.user_id and s.session_id = r.session_id
    cross join lateral (select extract(epoch from s.local_started_at::time) / 3600.0 as start_hour) h
),

removed as (
    delete from staging.session_features f
    using marked_days m
    where m.user_id = f.user_id and m.day = f.local_date
        and not exists (
            select from changed_sessions s where s.user_id = f.user_id and s.session_id = f.session_id
        )
    returning f.user_id, f.local_date
),

written as (
    insert into staging.session_features as f
    select * from final
    on conflict (user_id, session_id) do update set
        (
            local_date, plays, minutes, unique_artists, unique_tracks, artist_entropy, repeat_rate, discovery_rate,
            skip_rate, shuffle_rate, album_run_rate, start_hour, start_hour_sin, start_hour_cos, is_weekend,
            audio_coverage, energy, valence, danceability, acousticness, tempo
        ) = (
            excluded.local_date, excluded.plays, excluded.minutes, excluded.unique_artists, excluded.unique_tracks,
            excluded.artist_entropy, excluded.repeat_rate, excluded.discovery_rate, excluded.skip_rate,
            excluded.shuffle_rate, excluded.album_run_rate, excluded.start_hour, excluded.start_hour_sin,
            excluded.start_hour_cos, excluded.is_weekend, excluded.audio_coverage, excluded.energy, excluded.valence,
            excluded.danceability, excluded.acousticness, excluded.tempo
        )
        where f is distinct from excluded
    returning user_id, local_date
),

next_steps as (
    insert into pending_days (step, user_id, day)
    select 'session_clusters', user_id, local_date from written
    union
    select 'session_clusters', user_id, local_date from removed
    on conflict do nothing
)

select
    (select count(*) from marked_days) as days,
    (select count(*) from written) as written,
    (select count(*) from removed) as removed
