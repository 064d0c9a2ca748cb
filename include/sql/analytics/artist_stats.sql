-- What each artist meant on each marked day (staging.artist_days), and in all (staging.artist_totals, by difference, so that
-- the cost follows what changed). Shares and ranks are the view artist_stats. Parameters: none.

select lock_marks();
set local work_mem = '128MB';
set local jit = off;

create temp table marked_days on commit drop as
select user_id, day from pending_days where step = 'artist_stats';

delete from pending_days where step = 'artist_stats';

analyze marked_days;

create temp table new_days on commit drop as
select
    e.user_id,
    e.local_date,
    e.artist_name,
    count(*)::integer as plays,
    count(*) filter (where e.skipped)::integer as skips,
    sum(e.ms_played)::bigint as ms_played,
    min(e.played_at) as first_played_at,
    max(e.played_at) as last_played_at
from marked_days m
join staging.listening_events e on e.user_id = m.user_id and e.local_date = m.day
group by e.user_id, e.local_date, e.artist_name;

create temp table old_days on commit drop as
select d.*
from marked_days m
join staging.artist_days d on d.user_id = m.user_id and d.local_date = m.day;

create temp table added on commit drop as
select * from new_days except select * from old_days;

create temp table removed on commit drop as
select * from old_days except select * from new_days;

analyze added (user_id, artist_name, local_date);
analyze removed (user_id, artist_name, local_date);

delete from staging.artist_days d
using removed r
where d.user_id = r.user_id and d.artist_name = r.artist_name and d.local_date = r.local_date;

insert into staging.artist_days (user_id, local_date, artist_name, plays, skips, ms_played, first_played_at, last_played_at)
select user_id, local_date, artist_name, plays, skips, ms_played, first_played_at, last_played_at from added;

select staging.refresh_statistics('artist_days', (select count(*) from added));

-- Sums follow the difference of the days; firsts and lasts are looked up. Travel can turn the order of days and moments
-- around, by less than 3 days.
create temp table new_totals on commit drop as
with
changes as (
    select user_id, artist_name, plays, skips, 1 as days, ms_played from added
    union all
    select user_id, artist_name, -plays, -skips, -1, -ms_played from removed
),
changed as (
    select user_id, artist_name, sum(plays) as plays, sum(skips) as skips, sum(days) as days, sum(ms_played) as ms_played
    from changes
    group by user_id, artist_name
)
select
    c.user_id,
    c.artist_name,
    (coalesce(t.plays, 0) + c.plays)::integer as plays,
    (coalesce(t.skips, 0) + c.skips)::integer as skips,
    (coalesce(t.days, 0) + c.days)::integer as days,
    (coalesce(t.ms_played, 0) + c.ms_played)::bigint as ms_played,
    f.first_played_at,
    l.last_played_at,
    first_day.local_date as first_local_date,
    last_day.local_date as last_local_date,
    t.first_local_date as old_first_local_date
from changed c
left join staging.artist_totals t on t.user_id = c.user_id and t.artist_name = c.artist_name
left join lateral (
    select d.local_date from staging.artist_days d
    where d.user_id = c.user_id and d.artist_name = c.artist_name
    order by d.user_id, d.artist_name, d.local_date limit 1
) first_day on true
left join lateral (
    select d.local_date from staging.artist_days d
    where d.user_id = c.user_id and d.artist_name = c.artist_name
    order by d.user_id desc, d.artist_name desc, d.local_date desc limit 1
) last_day on true
left join lateral (
    select min(d.first_played_at) as first_played_at from staging.artist_days d
    where d.user_id = c.user_id and d.artist_name = c.artist_name
        and d.local_date between first_day.local_date and first_day.local_date + 3
) f on true
left join lateral (
    select max(d.last_played_at) as last_played_at from staging.artist_days d
    where d.user_id = c.user_id and d.artist_name = c.artist_name
        and d.local_date between last_day.local_date - 3 and last_day.local_date
) l on true;

analyze new_totals (user_id, artist_name);

delete from staging.artist_totals t
using new_totals n
where t.user_id = n.user_id and t.artist_name = n.artist_name and n.plays = 0;

insert into staging.artist_totals as t (
    user_id, artist_name,
    plays, skips, days, ms_played, first_played_at, last_played_at, first_local_date, last_local_date
)
select
    user_id, artist_name,
    plays, skips, days, ms_played, first_played_at, last_played_at, first_local_date, last_local_date
from new_totals
where plays > 0
on conflict (user_id, artist_name) do update set
    plays = excluded.plays,
    skips = excluded.skips,
    days = excluded.days,
    ms_played = excluded.ms_played,
    first_played_at = excluded.first_played_at,
    last_played_at = excluded.last_played_at,
    first_local_date = excluded.first_local_date,
    last_local_date = excluded.last_local_date
where t.* is distinct from excluded.*;

-- The day an artist was discovered on, before and now.
insert into pending_days (step, user_id, day)
select 'daily_trends', user_id, old_first_local_date from new_totals
where old_first_local_date is distinct from first_local_date and old_first_local_date is not null
union
select 'daily_trends', user_id, first_local_date from new_totals
where old_first_local_date is distinct from first_local_date and first_local_date is not null
on conflict do nothing;

select staging.refresh_statistics('artist_totals', (select count(*) from new_totals));
