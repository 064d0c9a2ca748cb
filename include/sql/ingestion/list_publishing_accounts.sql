select user_id, connection_id
from listeners
where publishes_playlists and connection_id is not null
order by user_id
