select max(as_of) from ml.playlists
