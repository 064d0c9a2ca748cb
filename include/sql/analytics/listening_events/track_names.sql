-- Plays known by artist and title alone get the id that other plays of the listener have for it; then what length alone can
-- say of skips.

-- What names mean, brought up to date by the difference between these ranges' plays as they were and as they are.
create temp table changed_names on commit drop as
with
counted as (
    select user_id, artist_name, track_name, track_id, count(*) as plays
    from new_events
    where not known_by_name and track_id not like 'name:%%'
    group by user_id, artist_name, track_name, track_id
    union all
    select e.user_id, e.artist_name, e.track_name, e.track_id, -count(*)
    from ranges g
    join staging.listening_events e
        on e.user_id = g.user_id and e.played_at >= g.low and e.played_at < g.high
    where not e.known_by_name and e.track_id not like 'name:%%'
    group by e.user_id, e.artist_name, e.track_name, e.track_id
)
select user_id, name_track_id(artist_name, track_name) as name_id, track_id, sum(plays)::integer as plays
from counted
group by user_id, name_track_id(artist_name, track_name), track_id
having sum(plays) <> 0;

analyze changed_names;

insert into staging.track_names as n (user_id, name_id, track_id, plays)
select user_id, name_id, track_id, plays from changed_names
order by user_id, name_id, track_id
on conflict (user_id, name_id, track_id) do update set plays = n.plays + excluded.plays;

delete from staging.track_names n
using changed_names c
where n.user_id = c.user_id and n.name_id = c.name_id and n.track_id = c.track_id and n.plays = 0;

update new_events e
set track_id = n.track_id
from (
    select
        a.user_id, a.name_id,
        (
            select min(k.track_id collate "C") from staging.track_names k
            where k.user_id = a.user_id and k.name_id = a.name_id
        ) as track_id
    from (select distinct user_id, track_id as name_id from new_events where known_by_name) a
) n
where e.known_by_name and n.user_id = e.user_id and n.name_id = e.track_id and n.track_id is not null;

-- Heard or skipped by length. Renamed plays can change a track's longest play: the last word is below.
update new_events e
set skipped = skipped_by_length(e.ms_played, l.duration_ms, l.longest_ms, e.ms_played_is_estimated, e.reason_end)
from (
    select i.user_id, i.track_id, greatest(i.longest_ms, o.longest_ms) as longest_ms, t.duration_ms
    from (
        select user_id, track_id, max(ms_played) as longest_ms
        from new_events
        group by user_id, track_id
        having bool_or(skipped_is_estimated)
    ) i
    left join (
        select c.user_id, c.track_id, max(e.ms_played) as longest_ms
        from (select distinct user_id, track_id from new_events where skipped_is_estimated) c
        join staging.listening_events e using (user_id, track_id)
        where not exists (
            select from ranges g where g.user_id = e.user_id and e.played_at >= g.low and e.played_at < g.high
        )
        group by c.user_id, c.track_id
    ) o using (user_id, track_id)
    left join tracks t on t.track_id = i.track_id
) l
where e.skipped_is_estimated and e.user_id = l.user_id and e.track_id = l.track_id;
