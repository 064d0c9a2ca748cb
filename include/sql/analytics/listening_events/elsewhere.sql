-- Plays outside the ranges that the new ones change: what a name means, and a track's longest play.

-- Plays known by name elsewhere in the history whose name now means another track.
with
renamed as (
    update staging.listening_events e
    set track_id = coalesce(
        (
            select min(n.track_id collate "C") from staging.track_names n
            where n.user_id = c.user_id and n.name_id = c.name_id
        ),
        c.name_id
    )
    from (select distinct user_id, name_id from changed_names) c
    where e.known_by_name and e.user_id = c.user_id
        and name_track_id(e.artist_name, e.track_name) = c.name_id
        and e.track_id <> coalesce(
            (
                select min(n.track_id collate "C") from staging.track_names n
                where n.user_id = c.user_id and n.name_id = c.name_id
            ),
            c.name_id
        )
    returning e.user_id, e.local_date, c.name_id
),
days as (
    insert into changed_days select distinct user_id, local_date from renamed
)
-- whatever the name means or has meant may have its longest play from here
insert into changed_tracks
select r.user_id, n.track_id from renamed r join changed_names n using (user_id, name_id)
union
select r.user_id, n.track_id from renamed r join staging.track_names n using (user_id, name_id)
union
select user_id, name_id from renamed;

analyze changed_tracks;

-- Plays elsewhere in the history whose track has another longest play now.
with
lengths as (
    select c.user_id, c.track_id, t.duration_ms, max(e.ms_played) as longest_ms
    from (select distinct user_id, track_id from changed_tracks) c
    join staging.listening_events e using (user_id, track_id)
    left join tracks t using (track_id)
    group by c.user_id, c.track_id, t.duration_ms
    having bool_or(e.skipped_is_estimated)
),
judged as (
    select e.user_id, e.event_id, skipped_by_length(
        e.ms_played, l.duration_ms, l.longest_ms, e.ms_played_is_estimated, e.reason_end
    ) as skipped
    from lengths l
    join staging.listening_events e using (user_id, track_id)
    where e.skipped_is_estimated
),
rejudged as (
    update staging.listening_events e
    set skipped = j.skipped
    from judged j
    where e.user_id = j.user_id and e.event_id = j.event_id and e.skipped is distinct from j.skipped
    returning e.user_id, e.local_date
)
insert into changed_days select distinct user_id, local_date from rejudged;
