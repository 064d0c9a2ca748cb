-- What each album meant on each marked day (staging.album_days), and in all (staging.album_totals, by difference, so that
-- the cost follows what changed). Shares and ranks are the view album_stats. Parameters: none.

select lock_marks_of('album_stats');
set local work_mem = '128MB';
set local jit = off;

create temp table marked_days on commit drop as
select user_id, day from takeable_days where step = 'album_stats';

delete from takeable_days where step = 'album_stats';

analyze marked_days;

-- Day by day, in order: no sort and no hash is larger than a day, and the rows below go in as the key has them.
create temp table added on commit drop as
select m.user_id, m.day as local_date, d.*
from (select * from marked_days order by user_id, day) m
cross join lateral (
    select
        e.artist_name,
        e.album_name,
        count(*)::integer as plays,
        count(*) filter (where e.skipped)::integer as skips,
        sum(e.ms_played)::bigint as ms_played,
        min(e.played_at) as first_played_at,
        max(e.played_at) as last_played_at,
        count(*) filter (where e.ms_played >= 30000)::integer as plays_30s,
        count(*) filter (where not e.skipped)::integer as heard
    from staging.listening_events e
    where e.user_id = m.user_id and e.local_date = m.day
        and e.album_name is not null
    group by e.artist_name, e.album_name
    order by e.artist_name, e.album_name
) d;

create temp table removed on commit drop as
select d.*
from marked_days m
join staging.album_days d on d.user_id = m.user_id and d.local_date = m.day;

analyze removed;

-- What stays as it was is neither added nor removed.
with
same as (
    delete from removed r
    using added a
    where r.user_id = a.user_id
        and r.local_date = a.local_date
        and r.artist_name = a.artist_name
        and r.album_name = a.album_name
        and r.* is not distinct from a.*
    returning r.user_id, r.local_date, r.artist_name, r.album_name
)
delete from added a
using same s
where s.user_id = a.user_id and s.local_date = a.local_date and s.artist_name = a.artist_name and s.album_name = a.album_name;

analyze added (user_id, artist_name, album_name, local_date);
analyze removed (user_id, artist_name, album_name, local_date);

delete from staging.album_days d
using removed r
where d.user_id = r.user_id and d.artist_name = r.artist_name and d.album_name = r.album_name and d.local_date = r.local_date;

select staging.begin_fill('album_days', (select count(*) from added));

insert into staging.album_days (
    user_id, local_date, artist_name, album_name,
    plays, skips, ms_played, first_played_at, last_played_at, plays_30s, heard
)
select
    user_id, local_date, artist_name, album_name,
    plays, skips, ms_played, first_played_at, last_played_at, plays_30s, heard
from added;

select staging.end_fill('album_days');

select staging.refresh_statistics('album_days', (select count(*) from added));

-- Sums follow the difference of the days, and so do firsts and lasts unless a day was taken away or changed: then they
-- are looked up. Travel can turn the order of days and moments around, by less than 3 days.
create temp table new_totals on commit drop as
with
changes as (
    select
        user_id, artist_name, album_name, local_date, plays, skips, 1 as days, ms_played, first_played_at, last_played_at,
        plays_30s, heard
    from added
    union all
    select user_id, artist_name, album_name, local_date, -plays, -skips, -1, -ms_played, null, null, -plays_30s, -heard
    from removed
),
changed as (
    select
        user_id,
        artist_name, album_name,
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
    group by user_id, artist_name, album_name
)
select
    c.user_id,
    c.artist_name,
    c.album_name,
    (coalesce(t.plays, 0) + c.plays)::integer as plays,
    (coalesce(t.skips, 0) + c.skips)::integer as skips,
    (coalesce(t.days, 0) + c.days)::integer as days,
    (coalesce(t.ms_played, 0) + c.ms_played)::bigint as ms_played,
    case
        when c.is_looked_up then f.first_played_at else least(t.first_played_at, c.first_played_at)
    end as first_played_at,
    case
        when c.is_looked_up then l.last_played_at else greatest(t.last_played_at, c.last_played_at)
    end as last_played_at,
    case
        when c.is_looked_up then first_day.local_date else least(t.first_local_date, c.first_local_date)
    end as first_local_date,
    case
        when c.is_looked_up then last_day.local_date else greatest(t.last_local_date, c.last_local_date)
    end as last_local_date,
    (coalesce(t.plays_30s, 0) + c.plays_30s)::integer as plays_30s,
    (coalesce(t.heard, 0) + c.heard)::integer as heard,
    t.first_local_date as old_first_local_date
from changed c
left join staging.album_totals t on t.user_id = c.user_id and t.artist_name = c.artist_name and t.album_name = c.album_name
left join lateral (
    select d.local_date from staging.album_days d
    where c.is_looked_up and d.user_id = c.user_id and d.artist_name = c.artist_name and d.album_name = c.album_name
    order by d.user_id, d.artist_name, d.album_name, d.local_date limit 1
) first_day on true
left join lateral (
    select d.local_date from staging.album_days d
    where c.is_looked_up and d.user_id = c.user_id and d.artist_name = c.artist_name and d.album_name = c.album_name
    order by d.user_id desc, d.artist_name desc, d.album_name desc, d.local_date desc limit 1
) last_day on true
left join lateral (
    select min(d.first_played_at) as first_played_at from staging.album_days d
    where c.is_looked_up and d.user_id = c.user_id and d.artist_name = c.artist_name and d.album_name = c.album_name
        and d.local_date between first_day.local_date and first_day.local_date + 3
) f on true
left join lateral (
    select max(d.last_played_at) as last_played_at from staging.album_days d
    where c.is_looked_up and d.user_id = c.user_id and d.artist_name = c.artist_name and d.album_name = c.album_name
        and d.local_date between last_day.local_date - 3 and last_day.local_date
) l on true;

analyze new_totals (user_id, artist_name, album_name);

delete from staging.album_totals t
using new_totals n
where t.user_id = n.user_id and t.artist_name = n.artist_name and t.album_name = n.album_name;

select staging.begin_fill('album_totals', (select count(*) from new_totals));

insert into staging.album_totals (
    user_id, artist_name, album_name,
    plays, skips, days, ms_played, first_played_at, last_played_at, first_local_date, last_local_date, plays_30s, heard
)
select
    user_id, artist_name, album_name,
    plays, skips, days, ms_played, first_played_at, last_played_at, first_local_date, last_local_date, plays_30s, heard
from new_totals
where plays > 0
order by user_id, artist_name, album_name;

select staging.end_fill('album_totals');

select staging.refresh_statistics('album_totals', (select count(*) from new_totals));
