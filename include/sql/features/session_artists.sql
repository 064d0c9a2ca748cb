-- staging.session_artists of the marked days: who was heard in which session. Returns all artists of the
-- sessions that changed: what a session says about any of its pairs depends on how many artists it has.
-- A session's weight doubles every 365 days since 2010-01-01: old sessions lose weight against new ones without any stored
-- number having to change as time passes. Whole numbers, so that sums are exact in whatever order they are taken.
with final as (
    select
        s.user_id,
        s.session_id,
        s.local_date,
        greatest(round(16 * power(2, (s.local_date - date '2010-01-01') / 365::double precision)), 1) as weight,
        e.artists
    from staging.listening_sessions s
    cross join lateral (
        select array_agg(distinct e.artist_name order by e.artist_name) as artists
        from staging.listening_events e
        where e.user_id = s.user_id and e.session_id = s.session_id
            and e.played_at between s.started_at and s.ended_at + interval '1 minute'
        having count(*) > 0
    ) e
    where s.user_id = %(user_id)s and s.local_date = any(%(days)s)
),

removed as (
    delete from staging.session_artists a
    where a.user_id = %(user_id)s and a.local_date = any(%(days)s)
        and not exists (select from final f where f.user_id = a.user_id and f.session_id = a.session_id)
    returning a.artists
),

changed as (
    select f.*, a.artists as old_artists
    from final f
    left join staging.session_artists a on a.user_id = f.user_id and a.session_id = f.session_id
    where (a.local_date, a.weight, a.artists) is distinct from (f.local_date, f.weight, f.artists)
),

written as (
    insert into staging.session_artists as a (user_id, session_id, local_date, weight, artists)
    select user_id, session_id, local_date, weight, artists from changed
    on conflict (user_id, session_id) do update set
        (local_date, weight, artists) = (excluded.local_date, excluded.weight, excluded.artists)
)

select unnest(artists) as artist_name from removed
union
select unnest(artists || old_artists) from changed
order by artist_name
