-- Writes plays, what differs only; notes the days and tracks that changed.

-- Only what differs is written.
create temp table changed_days (user_id text not null, local_date date not null) on commit drop;
create temp table changed_tracks (user_id text not null, track_id text not null) on commit drop;

with
gone as (
    delete from staging.listening_events e
    using ranges g
    where e.user_id = g.user_id and e.played_at >= g.low and e.played_at < g.high
        and not exists (
            select from new_events n
            where n.user_id = e.user_id and n.event_id = e.event_id
                and (
                    n.source, n.track_id, n.track_name, n.artist_name, n.album_name, n.platform, n.reason_start,
                    n.reason_end, n.time_zone, n.ms_played, n.ms_played_is_estimated, n.skipped, n.skipped_is_estimated,
                    n.known_by_name, n.shuffle, n.offline, n.incognito, n.played_at, n.started_at, n.local_started_at
                ) is not distinct from (
                    e.source, e.track_id, e.track_name, e.artist_name, e.album_name, e.platform, e.reason_start,
                    e.reason_end, e.time_zone, e.ms_played, e.ms_played_is_estimated, e.skipped, e.skipped_is_estimated,
                    e.known_by_name, e.shuffle, e.offline, e.incognito, e.played_at, e.started_at, e.local_started_at
                )
        )
    returning e.user_id, e.local_date, e.track_id
),
days as (
    insert into changed_days select distinct user_id, local_date from gone
)
insert into changed_tracks select distinct user_id, track_id from gone;

-- What is left to add. Not while adding: against a table that grows, and that the planner knows as empty, each row would
-- be looked for among all before it.
delete from new_events n
using staging.listening_events e
where e.user_id = n.user_id and e.event_id = n.event_id;

select staging.begin_fill('listening_events', (select count(*) from new_events));

with
added as (
    insert into staging.listening_events (
        user_id, event_id, source, track_id, session_id, track_name, artist_name, album_name, platform, reason_start,
        reason_end, time_zone, ms_played, ms_played_is_estimated, skipped, skipped_is_estimated, known_by_name, shuffle,
        offline, incognito, played_at, started_at, local_started_at, local_date
    )
    select
        n.user_id, n.event_id, n.source, n.track_id, n.session_id, n.track_name, n.artist_name, n.album_name, n.platform,
        n.reason_start, n.reason_end, n.time_zone, n.ms_played, n.ms_played_is_estimated, n.skipped,
        n.skipped_is_estimated, n.known_by_name, n.shuffle, n.offline, n.incognito, n.played_at, n.started_at,
        n.local_started_at, n.local_date
    from new_events n
    returning user_id, local_date
)
insert into changed_days select distinct user_id, local_date from added;

select staging.end_fill('listening_events');

insert into changed_tracks select distinct user_id, track_id from new_events;

-- What follows reads the plays that were just added.
select staging.refresh_statistics('listening_events', (select count(*) from new_events));
