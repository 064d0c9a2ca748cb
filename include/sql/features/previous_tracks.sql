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
order by position
