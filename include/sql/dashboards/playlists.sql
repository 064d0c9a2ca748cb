-- Generated playlists.

-- name: playlists
select p.playlist_id, p.persona_id, p.as_of, p.name, p.description, p.tracks, p.ms_total, r.label as persona,
    case when o.playlist_id = p.playlist_id then o.status end as published_status,
    case when o.playlist_id = p.playlist_id then o.spotify_playlist_id end as spotify_playlist_id,
    case when o.playlist_id = p.playlist_id then o.message end as published_message
from ml.playlists p
left join ml.personas r using (user_id, persona_id)
left join published_playlists o using (user_id, persona_id)
where p.user_id = %(user_id)s
order by p.as_of desc, p.persona_id;

-- name: playlist_tracks
select p.position, p.track_id, p.track_name, p.artist_name, p.album_name, p.kind, p.score, p.score_persona,
    p.score_history, p.score_cooccurrence, p.score_freshness, p.reason, t.duration_ms
from ml.playlist_tracks p
left join tracks t using (track_id)
where p.user_id = %(user_id)s and p.playlist_id = %(playlist_id)s
order by p.position;
