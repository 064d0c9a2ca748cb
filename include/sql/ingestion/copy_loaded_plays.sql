copy loaded_plays (day, track_id, plays) from stdin
