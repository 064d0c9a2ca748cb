-- staging.session_artists of the marked days: who was heard in which session. Returns all artists of the
-- sessions that changed: what a session says about any of its pairs depends on how many artists it has.
-- A session's weight doubles every 365 days since 2010-01-01: old sessions lose weight against new ones without any stored
-- number having to change as time passes. Whole numbers, so that sums are exact in whatever order they are taken.
with sessions as (
    select
        s.user_id,
        s.session_id,
        s.local_date,
        s.started_at,
        s.ended_at,
        greatest(round(16 * power(2, (s.local_date - date '2010-01-01') / 365::double precision)), 1) as weight
    from staging.listening_sessions s
    where s.user_id = %(user_id)s and s.local_date = any(%(days)s)
),

final as (
    select
        e.user_id,
        e.session_id,
        e.artist_name,
        s.local_date,
        count(*)::integer as plays,
        s.weight
    from sessions s
    cross join lateral (
        select *
        from staging.listening_events e
        where e.user_id = s.user_id and e.session_id = s.session_id
            and e.played_at between s.started_at and s.ended_at + interval '1 minute'
        offset 0
    ) e
    group by e.user_id, e.session_id, e.artist_name, s.local_date, s.weight
),

removed as (
    delete from staging.session_artists a
    where a.user_id = %(user_id)s and a.local_date = any(%(days)s)
        and not exists (
            select from final f
            where f.user_id = a.user_id and f.session_id = a.session_id and f.artist_name = a.artist_name
        )
    returning a.session_id, a.artist_name
),

written as (
    insert into staging.session_artists as a (user_id, session_id, artist_name, local_date, plays, weight)
    select user_id, session_id, artist_name, local_date, plays, weight from final
    on conflict (user_id, session_id, artist_name) do update set
        (local_date, plays, weight) = (excluded.local_date, excluded.plays, excluded.weight)
        where (a.local_date, a.plays, a.weight) is distinct from (excluded.local_date, excluded.plays, excluded.weight)
    returning a.session_id, a.artist_name
),

changed as (
    select session_id, artist_name from written
    union all
    select session_id, artist_name from removed
)

select artist_name from changed
union
select artist_name from final where session_id in (select session_id from changed)
order by artist_name
