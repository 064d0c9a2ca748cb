-- Some artists' months over all years, from one index's pages: it held all but what is summed.
drop index analytics.artist_days_user_id_artist_name_local_date_idx;
create index artist_days_of_artists on analytics.artist_days (user_id, artist_name, local_date) include (plays, ms_played);
