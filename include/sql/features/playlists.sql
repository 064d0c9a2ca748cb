-- name: previous_tracks
-- The tracks of a persona's last playlist before a day.
select track_id
from staging.playlist_tracks
where user_id = %(user_id)s and playlist_id = (
    select playlist_id
    from staging.playlists
    where user_id = %(user_id)s and persona_id = %(persona_id)s and as_of < %(day)s
    order by as_of desc
    limit 1
)
order by position;

-- name: playlists_so_far
-- A listener's playlists, and whether each is too old to keep: not of the given day, and not one of the newest `keep` of its
-- persona.
select
    playlist_id,
    as_of <> %(day)s and row_number() over (partition by persona_id order by as_of desc) > %(keep)s as is_old
from staging.playlists
where user_id = %(user_id)s;
