-- name: take_work
-- Takes a step's marks and returns, per listener, the marked days and the last session that had ended by as_of.
with latest_sessions as (
    select p.user_id, s.ended_at, s.local_date
    from (select distinct user_id from takeable_days where step = %(step)s) p
    cross join lateral (
        select ended_at, local_date
        from staging.listening_sessions
        where user_id = p.user_id and ended_at <= %(as_of)s
        order by local_date desc, session_id desc
        limit 1
    ) s
),

taken as (
    delete from takeable_days p
    using latest_sessions l
    where p.step = %(step)s and p.user_id = l.user_id
    returning p.user_id, p.day
)

select t.user_id, array_agg(t.day order by t.day) as days, l.ended_at, l.local_date
from taken t
join latest_sessions l using (user_id)
group by t.user_id, l.ended_at, l.local_date
order by t.user_id;

-- name: mark_days
insert into pending_days (step, user_id, day)
select %(step)s, %(user_id)s, unnest(%(days)s::date[])
on conflict do nothing;

-- name: mark_readers
-- Marks a day for every step that reads an input.
insert into pending_days (step, user_id, day)
select i.step, %(user_id)s, %(day)s::date
from staging.step_inputs i
where i.input = %(changed_input)s
on conflict do nothing;

-- name: take_artists
-- Takes the marks of a listener's artists whose pairs have changed.
delete from pending_artists
where user_id = %(user_id)s
returning artist_name;
