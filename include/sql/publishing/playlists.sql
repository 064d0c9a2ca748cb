-- Playlists on Spotify.

-- name: list_publishing_accounts
select user_id, connection_id
from listeners
where publishes_playlists and connection_id is not null
order by user_id;

-- name: newest_playlist_as_of
select max(as_of) from ml.playlists;

-- name: list_newest_playlists
-- The listener's newest playlist of each persona as readers see it, with what Spotify already has of it.
with newest as (
    select distinct on (persona_id) persona_id, playlist_id, name, description
    from ml.playlists
    where user_id = %(user_id)s
    order by persona_id, as_of desc, playlist_id
)

select
    n.persona_id,
    n.playlist_id,
    n.name,
    n.description,
    array(
        select t.track_id
        from ml.playlist_tracks t
        where t.user_id = %(user_id)s and t.playlist_id = n.playlist_id and t.track_id not like 'name:%%'
        order by t.position
    ) as track_ids,
    p.spotify_playlist_id,
    p.playlist_id as published_playlist_id,
    p.status
from newest n
left join published_playlists p on p.user_id = %(user_id)s and p.persona_id = n.persona_id
order by n.persona_id;

-- name: store_published_playlist
insert into published_playlists as p (user_id, persona_id, spotify_playlist_id, playlist_id, status, message, published_at)
values (
    %(user_id)s, %(persona_id)s, %(spotify_playlist_id)s, %(playlist_id)s, %(status)s, %(message)s,
    case when %(status)s = 'published' then %(now)s::timestamptz end
)
on conflict (user_id, persona_id) do update set
    spotify_playlist_id = excluded.spotify_playlist_id,
    playlist_id = excluded.playlist_id,
    status = excluded.status,
    message = excluded.message,
    published_at = coalesce(excluded.published_at, p.published_at);
