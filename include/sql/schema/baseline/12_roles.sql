-- Least rights. listening_owner owns everything and migrates; listening_writer runs the tasks; listening_reader is the
-- dashboards' role: published tables and the pipeline's health, never raw payloads or tokens.

grant usage on schema public, staging, analytics, ml to listening_writer;
grant select, insert, update, delete on all tables in schema public, staging, analytics, ml to listening_writer;
grant truncate on all tables in schema staging to listening_writer;
revoke update, delete on raw_listening_events from listening_writer;
alter default privileges in schema public, staging, analytics, ml
    grant select, insert, update, delete on tables to listening_writer;

-- Steps refresh the statistics of tables they have filled (MAINTAIN is new in PostgreSQL 17; before it, an analyze by the
-- tasks' role is passed over with a warning, and autovacuum comes by later).
do $$
begin
    if current_setting('server_version_num')::int >= 170000 then
        grant maintain on all tables in schema public, staging, analytics, ml to listening_writer;
        alter default privileges in schema public, staging, analytics, ml grant maintain on tables to listening_writer;
    end if;
end $$;

-- Bookkeeping that no task touches.
revoke all on forgotten_listeners, staging.dropped_indexes, alembic_version from listening_writer;

grant usage on schema public, analytics, ml to listening_reader;
grant select on all tables in schema analytics, ml to listening_reader;
grant select on listeners, listener_time_zones, ingestion_state, ingestion_gaps, ingested_files, qa_validation_results,
    spotify_api_calls, published_playlists, tracks, artists, audio_features to listening_reader;
alter default privileges in schema analytics, ml grant select on tables to listening_reader;
