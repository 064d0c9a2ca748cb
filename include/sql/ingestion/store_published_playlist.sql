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
    published_at = coalesce(excluded.published_at, p.published_at)
