-- Raw rows of the ranges that are no play of their own.

create temp table new_excluded on commit drop as
select
    c.user_id,
    c.source,
    c.event_key,
    coalesce(c.reason, s.reason) as reason,
    s.standing as kept_event_id,
    c.ended_at as played_at,
    (c.ended_at at time zone 'UTC')::date as utc_date
from candidates c
left join same_plays s on s.user_id = c.user_id and s.giving_way = c.event_key
where c.reason is not null or s.standing is not null;

-- It is nearly always empty: without knowing that, the planner reads all of excluded_events.
analyze new_excluded (user_id, source, event_key);

delete from staging.excluded_events e
using ranges g
where e.user_id = g.user_id
    and e.utc_date between (g.low at time zone 'UTC')::date and (g.high at time zone 'UTC')::date
    and e.played_at >= g.low and e.played_at < g.high
    and not exists (
        select from new_excluded n
        where n.user_id = e.user_id and n.source = e.source and n.event_key = e.event_key
            and (n.reason, n.kept_event_id) is not distinct from (e.reason, e.kept_event_id)
    );

insert into staging.excluded_events (user_id, source, event_key, reason, kept_event_id, played_at, utc_date)
select n.user_id, n.source, n.event_key, n.reason, n.kept_event_id, n.played_at, n.utc_date
from new_excluded n
on conflict do nothing;
