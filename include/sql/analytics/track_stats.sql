-- What each track meant on each marked day (staging.track_days), and in all (staging.track_totals, by difference, so that
-- the cost follows what changed). Shares and ranks are the view track_stats. Parameters: none.

select lock_marks_of('track_stats');
set local work_mem = '128MB';
set local jit = off;

create temp table marked_days on commit drop as
select user_id, day from takeable_days where step = 'track_stats';

delete from takeable_days where step = 'track_stats';

analyze marked_days;

-- Day by day, in order: no sort and no hash is larger than a day, and the rows below go in as the key has them.
create temp table added on commit drop as
select m.user_id, m.day as local_date, d.*
from (select * from marked_days order by user_id, day) m
cross join lateral (
    select
        e.track_id,
        count(*)::integer as plays,
        count(*) filter (where e.skipped)::integer as skips,
        sum(e.ms_played)::bigint as ms_played,
        min(e.played_at) as first_played_at,
        max(e.played_at) as last_played_at,
        count(*) filter (where e.ms_played >= 30000)::integer as plays_30s,
        count(*) filter (where not e.skipped)::integer as heard
    from staging.listening_events e
    where e.user_id = m.user_id and e.local_date = m.day
    group by e.track_id
    order by e.track_id
) d;

create temp table removed on commit drop as
select d.*
from marked_days m
join staging.track_days d on d.user_id = m.user_id and d.local_date = m.day;

analyze removed;

-- What stays as it was is neither added nor removed.
with
same as (
    delete from removed r
    using added a
    where r.user_id = a.user_id
        and r.local_date = a.local_date
        and r.track_id = a.track_id
        and r.* is not distinct from a.*
    returning r.user_id, r.local_date, r.track_id
)
delete from added a
using same s
where s.user_id = a.user_id and s.local_date = a.local_date and s.track_id = a.track_id;

analyze added (user_id, track_id, local_date);
analyze removed (user_id, track_id, local_date);

delete from staging.track_days d
using removed r
where d.user_id = r.user_id and d.track_id = r.track_id and d.local_date = r.local_date;

select staging.begin_fill('track_days', (select count(*) from added));

insert into staging.track_days (
    user_id, local_date, track_id,
    plays, skips, ms_played, first_played_at, last_played_at, plays_30s, heard
)
select
    user_id, local_date, track_id,
    plays, skips, ms_played, first_played_at, last_played_at, plays_30s, heard
from added;

select staging.end_fill('track_days');

select staging.refresh_statistics('track_days', (select count(*) from added));

-- Sums follow the difference of the days, and so do firsts and lasts unless a day was taken away or changed: then they
-- are looked up. Travel can turn the order of days and moments around, by less than 3 days.
create temp table new_totals on commit drop as
with
changes as (
    select
        user_id, track_id, local_date, plays, skips, 1 as days, ms_played, first_played_at, last_played_at,
        plays_30s, heard
    from added
    union all
    select user_id, track_id, local_date, -plays, -skips, -1, -ms_played, null, null, -plays_30s, -heard
    from removed
),
changed as (
    select
        user_id,
        track_id,
        sum(plays) as plays,
        sum(skips) as skips,
        sum(days) as days,
        sum(ms_played) as ms_played,
        min(first_played_at) as first_played_at,
        max(last_played_at) as last_played_at,
        min(local_date) as first_local_date,
        max(local_date) as last_local_date,
        sum(plays_30s) as plays_30s,
        sum(heard) as heard,
        bool_or(days < 0) as is_looked_up
    from changes
    group by user_id, track_id
)
select
    c.user_id,
    c.track_id,
    n.track_name,
    n.artist_name,
    n.album_name,
    (coalesce(t.plays, 0) + c.plays)::integer as plays,
    (coalesce(t.skips, 0) + c.skips)::integer as skips,
    (coalesce(t.days, 0) + c.days)::integer as days,
    (coalesce(t.ms_played, 0) + c.ms_played)::bigint as ms_played,
    case
        when c.is_looked_up then f.first_played_at else least(t.first_played_at, c.first_played_at)
    end as first_played_at,
    l.last_played_at,
    case
        when c.is_looked_up then first_day.local_date else least(t.first_local_date, c.first_local_date)
    end as first_local_date,
    case
        when c.is_looked_up then last_day.local_date else greatest(t.last_local_date, c.last_local_date)
    end as last_local_date,
    (coalesce(t.plays_30s, 0) + c.plays_30s)::integer as plays_30s,
    (coalesce(t.heard, 0) + c.heard)::integer as heard,
    t.first_local_date as old_first_local_date,
    t.first_played_at as old_first_played_at
from changed c
left join staging.track_totals t on t.user_id = c.user_id and t.track_id = c.track_id
left join lateral (
    select d.local_date from staging.track_days d
    where c.is_looked_up and d.user_id = c.user_id and d.track_id = c.track_id
    order by d.user_id, d.track_id, d.local_date limit 1
) first_day on true
left join lateral (
    select d.local_date from staging.track_days d
    where c.is_looked_up and d.user_id = c.user_id and d.track_id = c.track_id
    order by d.user_id desc, d.track_id desc, d.local_date desc limit 1
) last_day on true
left join lateral (
    select min(d.first_played_at) as first_played_at from staging.track_days d
    where c.is_looked_up and d.user_id = c.user_id and d.track_id = c.track_id
        and d.local_date between first_day.local_date and first_day.local_date + 3
) f on true
left join lateral (
    select case when c.is_looked_up then max(d.last_played_at) else greatest(t.last_played_at, c.last_played_at) end
        as last_played_at
    from staging.track_days d
    where c.is_looked_up and d.user_id = c.user_id and d.track_id = c.track_id
        and d.local_date between last_day.local_date - 3 and last_day.local_date
) l on true
-- a track is called what it was called when last heard
left join lateral (
    select e.track_name, e.artist_name, e.album_name
    from staging.listening_events e
    where e.user_id = c.user_id and e.played_at = l.last_played_at and e.track_id = c.track_id
    order by e.event_id
    limit 1
) n on true;

analyze new_totals (user_id, track_id);

delete from staging.track_totals t
using new_totals n
where t.user_id = n.user_id and t.track_id = n.track_id;

select staging.begin_fill('track_totals', (select count(*) from new_totals));

insert into staging.track_totals (
    user_id, track_id, track_name, artist_name, album_name,
    plays, skips, days, ms_played, first_played_at, last_played_at, first_local_date, last_local_date, plays_30s, heard
)
select
    user_id, track_id, track_name, artist_name, album_name,
    plays, skips, days, ms_played, first_played_at, last_played_at, first_local_date, last_local_date, plays_30s, heard
from new_totals
where plays > 0
order by user_id, track_id;

select staging.end_fill('track_totals');

-- The day a track was discovered on, before and now: trends count discoveries, session features their share.
insert into pending_days (step, user_id, day)
select distinct s.step, d.user_id, d.day
from (
    select user_id, old_first_local_date as day from new_totals where old_first_played_at is distinct from first_played_at
    union
    select user_id, first_local_date from new_totals where old_first_played_at is distinct from first_played_at
) d
cross join (values ('daily_trends'), ('session_features')) s (step)
where d.day is not null
order by 1, 2, 3  -- side by side with the other steps: none waits for a mark while another waits for it
on conflict do nothing;

select staging.refresh_statistics('track_totals', (select count(*) from new_totals));
