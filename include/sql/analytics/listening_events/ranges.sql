-- What is built again: ranges of each listener's time, and which rows belong into them.

-- The ranges to rebuild: the marked days, and where their late rows were heard. Where a late row is placed depends on the
-- rows within 15 minutes of where it was heard; so late rows heard close to what is rebuilt bring the time they were reported.
create temp table ranges on commit drop as
with
consecutive as (
    select user_id, day, day - (row_number() over (partition by user_id order by day))::integer as island
    from marked_days
),
windows as (
    select
        user_id,
        min(day)::timestamp at time zone 'UTC' as low,
        (max(day) + 1)::timestamp at time zone 'UTC' as high
    from consecutive
    group by user_id, island
),
heard as (
    select user_id, low, high from windows
    union
    select w.user_id, r.ended_at, r.ended_at + interval '1 microsecond'
    from windows w
    cross join lateral (
        select r.ended_at from raw_listening_events r
        where r.user_id = w.user_id and r.played_at - r.ended_at > interval '1 minute'
            and r.played_at >= w.low and r.played_at < w.high
        offset 0  -- by the index, window by window
    ) r
    where not exists (
        select from marked_days d where d.user_id = w.user_id and d.day = (r.ended_at at time zone 'UTC')::date
    )
),
reported as (
    select h.user_id, r.played_at
    from heard h
    cross join lateral (
        select r.played_at from raw_listening_events r
        where r.user_id = h.user_id and r.played_at - r.ended_at > interval '1 minute'
            and r.ended_at >= h.low - interval '16 minutes' and r.ended_at < h.high + interval '16 minutes'
        offset 0
    ) r
    where not exists (
        select from marked_days d where d.user_id = h.user_id and d.day = (r.played_at at time zone 'UTC')::date
    )
)
select user_id, low, high from heard
union
select user_id, played_at, played_at + interval '1 microsecond' from reported;

analyze ranges;

select staging.close_ranges();

-- Late rows that overlap more plays where they should have been heard than they meet end to start, give or take 5 s: their
-- clock was wrong, they are placed where they were reported.
create temp table misplaced on commit drop as
with
late as (
    select distinct
        r.user_id, r.event_key, r.ended_at, r.ms,
        r.ended_at - r.ms::double precision * interval '1 millisecond' as started_at
    from ranges g
    cross join lateral (
        (
            select r.user_id, r.event_key, r.ended_at, r.payload -> 'ms_played' as ms from raw_listening_events r
            where r.user_id = g.user_id and r.played_at - r.ended_at > interval '1 minute'
                and r.ended_at >= g.low and r.ended_at < g.high
            offset 0
        )
        union all
        (
            select r.user_id, r.event_key, r.ended_at, r.payload -> 'ms_played' from raw_listening_events r
            where r.user_id = g.user_id and r.played_at - r.ended_at > interval '1 minute'
                and r.played_at >= g.low and r.played_at < g.high
            offset 0
        )
    ) r
)
select l.user_id, l.event_key
from late l
cross join lateral (
    select n.event_key, n.ended_at, n.payload -> 'ms_played' as ms
    from raw_listening_events n
    where n.user_id = l.user_id
        and n.ended_at between l.ended_at - interval '15 minutes' and l.ended_at + interval '15 minutes'
        and n.source = 'extended_history'
        and n.event_key <> l.event_key
        and case when jsonb_typeof(n.payload -> 'ms_played') = 'number'
            then (n.payload -> 'ms_played')::numeric between 1 and 86400000
        end
        -- the same play, logged twice
        and not (
            n.payload -> 'ms_played' = l.ms
            and n.ended_at - l.ended_at between interval '-1 second' and interval '1 second'
        )
    offset 0
) n
cross join lateral (
    select n.ended_at - n.ms::double precision * interval '1 millisecond' as started_at
) s
group by l.user_id, l.event_key
having
    count(*) filter (
        where least(n.ended_at, l.ended_at) - greatest(s.started_at, l.started_at) > interval '5 seconds'
    ) > count(*) filter (
        where n.ended_at - l.started_at between interval '-5 seconds' and interval '5 seconds'
            or s.started_at - l.ended_at between interval '-5 seconds' and interval '5 seconds'
    );

analyze misplaced;
