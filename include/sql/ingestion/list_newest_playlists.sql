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
order by n.persona_id
