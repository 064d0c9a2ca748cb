-- A listener's playlists, and whether each is of another day than the given one and beyond the newest `keep` of its persona.
select
    playlist_id,
    as_of <> %(day)s and row_number() over (partition by persona_id order by as_of desc) > %(keep)s as is_old
from staging.playlists
where user_id = %(user_id)s
