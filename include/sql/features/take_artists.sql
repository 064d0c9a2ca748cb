-- Takes the marks of a listener's artists whose pairs have changed.
delete from pending_artists
where user_id = %(user_id)s
returning artist_name
