-- The plays of the ranges as they should be: length, time zone, session.

create temp table zones on commit drop as
select user_id, '-infinity'::timestamptz as valid_from, time_zone from listeners
union all
select user_id, valid_from, time_zone from listener_time_zones;

analyze zones;

-- The plays, with the length of API rows estimated: the track's, but not back over the end of what was on before (looked
-- for 15 minutes back), and at least the 30 s without which Spotify does not list a play.
create temp table new_events on commit drop as
with
heard as (
    select c.*, lag(c.ended_at) over (partition by c.user_id order by c.ended_at, c.event_key) as previous_ended_at
    from candidates c
    where c.reason is null or (c.reason in ('podcast_episode', 'audiobook', 'video') and c.ms_known > 0)
),
estimated as (
    select
        h.*,
        case
            when h.is_api and h.ended_at - h.previous_ended_at <= interval '15 minutes' then least(
                h.ms_known,
                greatest(30000, (extract(epoch from h.ended_at - h.previous_ended_at) * 1000)::integer)
            )
            else h.ms_known
        end as ms_played
    from heard h
    where h.reason is null
        and not exists (select from same_plays s where s.user_id = h.user_id and s.giving_way = h.event_key)
),
plays as (
    select e.*, e.ended_at - e.ms_played * interval '1 millisecond' as started_at from estimated e
),
periods as (
    select
        user_id, time_zone, valid_from,
        lead(valid_from, 1, 'infinity') over (partition by user_id order by valid_from) as valid_to
    from zones
),
local as (
    select p.*, coalesce(z.time_zone, 'UTC') as time_zone
    from plays p
    left join periods z on z.user_id = p.user_id and p.started_at >= z.valid_from and p.started_at < z.valid_to
),
-- session ids as far as these ranges show; sessions.sql has the last word and finds little to correct
begun as (
    select
        l.*,
        l.started_at at time zone l.time_zone as local_started_at,
        case
            when l.started_at - lag(l.ended_at) over listener <= %(session_gap_minutes)s * interval '1 minute' then null
            else (extract(epoch from l.started_at) * 1000)::bigint
        end as begun_session
    from local l
    window listener as (partition by l.user_id order by l.ended_at, l.event_key)
)
select
    b.user_id,
    b.event_key as event_id,
    b.source,
    case
        when b.track_id is null or b.known_by_name then name_track_id(b.artist_name, b.track_name) else b.track_id
    end as track_id,
    max(b.begun_session) over (partition by b.user_id order by b.ended_at, b.event_key) as session_id,
    b.track_name,
    b.artist_name,
    b.album_name,
    b.platform,
    b.reason_start,
    b.reason_end,
    b.time_zone,
    b.ms_played,
    b.is_estimated as ms_played_is_estimated,
    b.skipped,
    b.skipped is null as skipped_is_estimated,
    b.known_by_name,
    b.shuffle,
    b.offline,
    b.incognito,
    b.ended_at as played_at,
    b.started_at,
    b.local_started_at,
    b.local_started_at::date as local_date
from begun b;

analyze new_events (user_id, event_id, source);
