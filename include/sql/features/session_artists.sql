-- Writes staging.session_artists from new_artists: which artists a session had, and how often. Marks the steps that read it
-- and, for artist_cooccurrence, all artists of the sessions that changed: how much a session counts for each pair of its
-- artists depends on how many there are.
-- The weight of a session doubles every 365 days from 2010-01-01 on. So old sessions count less and less beside new ones, and
-- no stored number has to change as time passes. Weights are whole numbers, so sums are exact in any order.
create temp table changed_artists (
    user_id text not null, local_date date not null, artists text[] not null
) on commit drop;

with
gone as (
    delete from staging.session_artists a
    using marked_days m
    where m.user_id = a.user_id and m.day = a.local_date
        and not exists (
            select from new_artists n where n.user_id = a.user_id and n.session_id = a.session_id
        )
    returning a.user_id, a.local_date, a.artists
)
insert into changed_artists select * from gone;

-- What is left in new_artists has changed.
delete from new_artists n
using staging.session_artists a
where a.user_id = n.user_id and a.session_id = n.session_id
    and (a.local_date, a.artists, a.plays) is not distinct from (n.local_date, n.artists, n.plays);

with
outdated as (
    delete from staging.session_artists a
    using new_artists n
    where n.user_id = a.user_id and n.session_id = a.session_id
    returning a.user_id, a.local_date, a.artists
)
insert into changed_artists
select * from outdated
union all
select user_id, local_date, artists from new_artists;

select staging.begin_fill('session_artists', (select count(*) from new_artists));

insert into staging.session_artists (user_id, session_id, local_date, weight, artists, plays)
select
    user_id,
    session_id,
    local_date,
    greatest(round(16 * power(2, (local_date - date '2010-01-01') / 365::double precision)), 1),
    artists,
    plays
from new_artists;

select staging.end_fill('session_artists');

select staging.refresh_statistics('session_artists', (select count(*) from new_artists));

insert into pending_artists (user_id, artist_name)
select distinct user_id, unnest(artists) from changed_artists
on conflict do nothing;

select staging.mark_readers('session_artists', 'changed_artists');
