-- Tracks heard but not described, then artists named but not described, the most played first.
with tracks_wanted as (
    select 'track' as kind, h.track_id as id, h.plays
    from heard_tracks h
    where not exists (select from tracks t where t.track_id = h.track_id)
),

artists_wanted as (
    select 'artist' as kind, t.artist_id as id, sum(h.plays) as plays
    from tracks t
    inner join heard_tracks h on h.track_id = t.track_id
    where t.artist_id is not null and not exists (select from artists a where a.artist_id = t.artist_id)
    group by t.artist_id
),

wanted as (
    select * from tracks_wanted
    union all
    select * from artists_wanted
)

select kind, id
from wanted
where not exists (select from unknown_ids u where u.id = wanted.id and u.expires_at > %(now)s)
order by plays desc, id
limit %(most)s
