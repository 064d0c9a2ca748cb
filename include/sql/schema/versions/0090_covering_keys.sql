-- Sums over a year of a long history from the keys' own pages, without visiting the tables' rows.
alter table analytics.artist_days drop constraint artist_days_pkey,
    add primary key (user_id, local_date, artist_name) include (plays, ms_played, skips);
alter table analytics.track_days drop constraint track_days_pkey,
    add primary key (user_id, local_date, track_id) include (plays, ms_played, skips);
alter table analytics.album_days drop constraint album_days_pkey,
    add primary key (user_id, local_date, artist_name, album_name) include (plays, ms_played, skips);
alter table analytics.listening_hours drop constraint listening_hours_pkey,
    add primary key (user_id, local_date, hour) include (plays, ms_played);
-- Sessions joined with their personas, in order of the keys.
alter table analytics.listening_sessions drop constraint listening_sessions_pkey,
    add primary key (user_id, session_id) include (local_date, ms_played);
alter table ml.session_clusters drop constraint session_clusters_pkey,
    add primary key (user_id, session_id) include (local_date, persona_id);
alter table ml.session_features drop constraint session_features_pkey,
    add primary key (user_id, session_id) include (local_date, start_hour);
-- The sessions nearest to the middle of their persona.
create index session_clusters_distance on ml.session_clusters (user_id, persona_id, distance, session_id);
