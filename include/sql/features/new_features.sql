-- What staging.session_features and session_artists are to say of the changed_sessions: new_features, with the columns of
-- session_features, and new_artists. Plays are read day by day, in the order of their index, and each session's as arrays:
-- no sort is larger than a day's sessions, and arrays of a dozen cost less than windows. Whole numbers and numerics have
-- exact sums, so that no order decides a last digit; round(x * 1e9) / 1e9 is the double next to x rounded, as a numeric
-- would give it, for a fifth of the time (+ 0: not -0).
set local enable_memoize = off;  -- no two sessions hear the same

create temp table new_features (like staging.session_features, artists text[] not null) on commit drop;

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
    greatest(round((ln(s.plays) - a.n_ln_n / s.plays) / ln(2::double precision) * 1e9) / 1e9, 0) + 0 as artist_entropy,
    1 - s.unique_tracks::double precision / s.plays as repeat_rate,
    (
        select count(*)
        from staging.track_totals t
        where t.user_id = s.user_id and t.first_played_at between s.started_at and s.ended_at
    )::double precision / s.plays as discovery_rate,
    round(p.skip_rate, 9) as skip_rate,
    round(p.shuffle_rate, 9) as shuffle_rate,
    (
        select count(*)
        from generate_series(2, cardinality(p.tracks)) i
        where p.artists[i] = p.artists[i - 1] and p.albums[i] = p.albums[i - 1] and p.tracks[i] <> p.tracks[i - 1]
    )::double precision / s.plays as album_run_rate,
    round(h.start_hour, 6) as start_hour,
    round(sin(2 * pi() * h.start_hour / 24) * 1e9) / 1e9 + 0 as start_hour_sin,
    round(cos(2 * pi() * h.start_hour / 24) * 1e9) / 1e9 + 0 as start_hour_cos,
    (extract(isodow from s.local_started_at) >= 6)::integer as is_weekend,
    p.audio_plays::double precision / s.plays as audio_coverage,
    round(p.energy, 9) as energy,
    round(p.valence, 9) as valence,
    round(p.danceability, 9) as danceability,
    round(p.acousticness, 9) as acousticness,
    round(p.tempo, 9) as tempo,
    a.artists
from (
    select d.user_id, d.local_date, p.*
    from (
        select user_id, local_date, min(started_at) as began, max(ended_at) + interval '1 minute' as ended
        from changed_sessions
        group by user_id, local_date
    ) d
    cross join lateral (
        select
            e.session_id,
            array_agg(e.artist_name order by e.played_at, e.event_id) as artists,
            array_agg(e.album_name order by e.played_at, e.event_id) as albums,
            array_agg(e.track_id order by e.played_at, e.event_id) as tracks,
            avg(e.skipped::integer) filter (where not e.ms_played_is_estimated) as skip_rate,
            avg(e.shuffle::integer) as shuffle_rate,
            count(f.energy) as audio_plays,
            avg(f.energy::numeric) as energy,
            avg(f.valence::numeric) as valence,
            avg(f.danceability::numeric) as danceability,
            avg(f.acousticness::numeric) as acousticness,
            avg(f.tempo::numeric) as tempo
        from staging.listening_events e
        left join audio_features f on f.track_id = e.track_id and f.energy is not null
        where e.user_id = d.user_id and e.played_at between d.began and d.ended
        group by e.session_id
    ) p
    offset 0  -- before the join below, which would read the day anew for each of its sessions
) p
-- A session that began on the day before is not of this day.
join changed_sessions s on s.user_id = p.user_id and s.local_date = p.local_date and s.session_id = p.session_id
cross join lateral (
    select
        array_agg(n.artist) as artists,
        sum(n.plays * round(ln(n.plays) * 1e12)::bigint)::double precision / 1e12 as n_ln_n
    from (select artist, count(*) as plays from unnest(p.artists) artist group by artist order by artist) n
) a
cross join lateral (select extract(epoch from s.local_started_at::time) / 3600.0 as start_hour) h;

create temp table new_artists on commit drop as
select user_id, session_id, local_date, artists from new_features;

alter table new_features drop column artists;

analyze new_features (user_id, session_id);
analyze new_artists (user_id, session_id);
