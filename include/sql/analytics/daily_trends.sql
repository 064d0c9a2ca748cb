-- One row per local day with plays: sums, discoveries, averages over the 7 and 28 calendar days that end with it (days
-- without plays count as 0) and the streak of days in a row. Works on the marked days and those whose averages or
-- streak they reach. Parameters: none.

select lock_marks();
set local work_mem = '128MB';
set local jit = off;

create temp table marked_days on commit drop as
select user_id, day from takeable_days where step = 'daily_trends';

delete from takeable_days where step = 'daily_trends';

analyze marked_days;

-- The marked days alone.
create temp table new_days on commit drop as
with
plays as (
    select
        d.user_id,
        d.local_date,
        sum(d.plays)::integer as plays,
        count(*)::integer as unique_artists,
        sum(d.skips)::integer as skips,
        sum(d.ms_played)::bigint as ms_played,
        effective_number(sum(d.plays), sum(d.plays::bigint * d.plays)) as effective_artists,
        sum(d.plays_30s)::integer as plays_30s,
        sum(d.heard)::integer as heard
    from marked_days m
    join staging.artist_days d on d.user_id = m.user_id and d.local_date = m.day
    group by d.user_id, d.local_date
),
tracks as (
    select d.user_id, d.local_date, count(*)::integer as unique_tracks
    from marked_days m
    join staging.track_days d on d.user_id = m.user_id and d.local_date = m.day
    group by d.user_id, d.local_date
),
new_tracks as (
    select t.user_id, t.first_local_date as local_date, count(*)::integer as new_tracks
    from marked_days m
    join staging.track_totals t on t.user_id = m.user_id and t.first_local_date = m.day
    group by t.user_id, t.first_local_date
),
new_artists as (
    select t.user_id, t.first_local_date as local_date, count(*)::integer as new_artists
    from marked_days m
    join staging.artist_totals t on t.user_id = m.user_id and t.first_local_date = m.day
    group by t.user_id, t.first_local_date
),
sessions as (
    select s.user_id, s.local_date, count(*)::integer as sessions
    from marked_days m
    join staging.listening_sessions s on s.user_id = m.user_id and s.local_date = m.day
    group by s.user_id, s.local_date
)
select
    p.user_id,
    p.local_date,
    p.plays,
    coalesce(s.sessions, 0) as sessions,
    t.unique_tracks,
    p.unique_artists,
    coalesce(nt.new_tracks, 0) as new_tracks,
    coalesce(na.new_artists, 0) as new_artists,
    p.skips,
    p.ms_played,
    p.effective_artists,
    p.plays_30s,
    p.heard
from plays p
join tracks t using (user_id, local_date)
left join new_tracks nt using (user_id, local_date)
left join new_artists na using (user_id, local_date)
left join sessions s using (user_id, local_date);

analyze new_days;

-- The days a marked day reaches: 27 on for the averages; for the streak, when a day appears or vanishes, all up to where
-- the next streak after it began.
create temp table reached on commit drop as
with
toggled as (
    select m.user_id, m.day
    from marked_days m
    left join new_days n on n.user_id = m.user_id and n.local_date = m.day
    left join staging.daily_trends o on o.user_id = m.user_id and o.local_date = m.day
    where (n.local_date is null) <> (o.local_date is null)
),
spans as (
    select user_id, day as low, day + 27 as high from marked_days
    union all
    select
        t.user_id,
        t.day,
        coalesce(
            (
                select o.local_date - 1 from staging.daily_trends o
                where o.user_id = t.user_id and o.local_date > t.day + 1 and o.streak_days = 1
                order by o.local_date limit 1
            ),
            (select max(o.local_date) from staging.daily_trends o where o.user_id = t.user_id)
        )
    from toggled t
),
merged as (
    select user_id, unnest(range_agg(daterange(low, greatest(low, high), '[]'))) as range from spans group by user_id
)
select user_id, lower(range) as low, upper(range) - 1 as high from merged;

analyze reached;

-- Sums of every day within reach and of the 27 before it.
create temp table known_days on commit drop as
with
wide as (
    select user_id, unnest(range_agg(daterange(low - 27, high, '[]'))) as range from reached group by user_id
),
old_days as (
    select o.*
    from wide w
    join staging.daily_trends o on o.user_id = w.user_id and o.local_date between lower(w.range) and upper(w.range) - 1
    where not exists (select from marked_days m where m.user_id = o.user_id and m.day = o.local_date)
)
select
    user_id, local_date, plays, sessions, unique_tracks, unique_artists, new_tracks, new_artists, skips, ms_played,
    effective_artists, plays_30s, heard, streak_days as old_streak_days
from old_days
union all
select
    user_id, local_date, plays, sessions, unique_tracks, unique_artists, new_tracks, new_artists, skips, ms_played,
    effective_artists, plays_30s, heard, null
from new_days;

analyze known_days;

create temp table new_trends on commit drop as
with
averaged as (
    select
        k.*,
        sum(k.plays) over last_7 / 7.0 as plays_7d_avg,
        sum(k.plays) over last_28 / 28.0 as plays_28d_avg,
        sum(k.ms_played) over last_7 / 7.0 as ms_played_7d_avg,
        sum(k.ms_played) over last_28 / 28.0 as ms_played_28d_avg,
        lag(k.local_date) over listener as previous_date,
        lag(k.old_streak_days) over listener as previous_streak_days
    from known_days k
    window
        listener as (partition by k.user_id order by k.local_date),
        last_7 as (listener range between interval '6 days' preceding and current row),
        last_28 as (listener range between interval '27 days' preceding and current row)
),
within_reach as (
    select a.*, r.low
    from averaged a
    join reached r on r.user_id = a.user_id and a.local_date between r.low and r.high
),
runs as (
    select
        w.*,
        w.local_date - (row_number() over (partition by w.user_id, w.low order by w.local_date))::integer as run
    from within_reach w
),
-- A run that begins at the edge of reach goes on with the streak of the day before.
streaks as (
    select
        r.*,
        row_number() over run_days
        + coalesce(
            first_value(
                case when r.local_date = r.low and r.previous_date = r.local_date - 1 then r.previous_streak_days end
            ) over run_days,
            0
        ) as streak_days
    from runs r
    window run_days as (partition by r.user_id, r.low, r.run order by r.local_date)
)
select
    user_id,
    local_date,
    plays,
    sessions,
    unique_tracks,
    unique_artists,
    new_tracks,
    new_artists,
    skips,
    ms_played,
    effective_artists,
    plays_7d_avg::double precision as plays_7d_avg,
    plays_28d_avg::double precision as plays_28d_avg,
    ms_played_7d_avg::double precision as ms_played_7d_avg,
    ms_played_28d_avg::double precision as ms_played_28d_avg,
    streak_days::integer as streak_days,
    plays_30s,
    heard
from streaks;

analyze new_trends;

create temp table changed_days (user_id text not null, local_date date not null) on commit drop;

with
gone as (
    delete from staging.daily_trends o
    using reached r
    where o.user_id = r.user_id and o.local_date between r.low and r.high
        and not exists (
            select from new_trends n
            where n.user_id = o.user_id and n.local_date = o.local_date and n.* is not distinct from o.*
        )
    returning o.user_id, o.local_date
)
insert into changed_days select user_id, local_date from gone;

with
added as (
    insert into staging.daily_trends (
        user_id, local_date, plays, sessions, unique_tracks, unique_artists, new_tracks, new_artists, skips, ms_played,
        effective_artists, plays_7d_avg, plays_28d_avg, ms_played_7d_avg, ms_played_28d_avg, streak_days, plays_30s,
        heard
    )
    select
        user_id, local_date, plays, sessions, unique_tracks, unique_artists, new_tracks, new_artists, skips, ms_played,
        effective_artists, plays_7d_avg, plays_28d_avg, ms_played_7d_avg, ms_played_28d_avg, streak_days, plays_30s,
        heard
    from new_trends
    on conflict do nothing
    returning user_id, local_date
)
insert into changed_days select user_id, local_date from added;

select staging.mark_readers('daily_trends', 'changed_days');

select staging.refresh_statistics('daily_trends', (select count(*) from new_trends));
