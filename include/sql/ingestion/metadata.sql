-- What is known of tracks and artists, and ids that Spotify does not know.

-- name: list_wanted_metadata
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
limit %(most)s;

-- name: count_metadata_calls
select coalesce(sum(calls), 0)
from spotify_api_calls
where user_id = %(user_id)s and called_on = %(day)s and endpoint in ('track', 'artist');

-- name: insert_tracks
insert into tracks (track_id, track_name, artist_id, artist_name, album_id, album_name, duration_ms, isrc, payload)
select *
from unnest(
    %(track_ids)s::text[], %(track_names)s::text[], %(artist_ids)s::text[], %(artist_names)s::text[], %(album_ids)s::text[],
    %(album_names)s::text[], %(durations_ms)s::integer[], %(isrcs)s::text[], %(payloads)s::jsonb[]
) as t (track_id, track_name, artist_id, artist_name, album_id, album_name, duration_ms, isrc, payload)
order by track_id
on conflict (track_id) do nothing;

-- name: insert_artist
insert into artists (artist_id, artist_name, genres, payload)
values (%(artist_id)s, %(artist_name)s, %(genres)s, %(payload)s)
on conflict (artist_id) do nothing;

-- name: insert_unknown_id
insert into unknown_ids (id, expires_at)
values (%(id)s, %(expires_at)s)
on conflict (id) do update set expires_at = excluded.expires_at;

-- name: is_refused
select from unknown_ids where id = %(id)s and expires_at > %(now)s;
