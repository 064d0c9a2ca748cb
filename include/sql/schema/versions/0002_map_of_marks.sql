-- Which step reads what another one writes: in one place, for all steps.

create view staging.step_inputs (input, step) as
values
    -- build_listening_events
    ('listening_events', 'sessions'),
    ('listening_events', 'artist_stats'),
    ('listening_events', 'track_stats'),
    ('listening_events', 'album_stats'),
    ('listening_events', 'listening_clock'),
    ('listening_events', 'daily_trends'),
    ('listening_events', 'user_metrics'),
    -- build_sessions
    ('listening_sessions', 'daily_trends'),
    ('listening_sessions', 'user_metrics'),
    ('session contents', 'session_features'),
    ('session contents', 'user_features'),
    ('session contents', 'playlists'),
    -- artist_stats, track_stats; nothing reads when an album was first heard
    ('artist discoveries', 'daily_trends'),
    ('track discoveries', 'daily_trends'),
    ('track discoveries', 'session_features'),
    -- daily_trends
    ('daily_trends', 'user_metrics'),
    -- build_session_features
    ('session_features', 'session_clusters'),
    ('session_artists', 'session_clusters'),
    ('session_artists', 'artist_cooccurrence'),
    -- cluster_sessions
    ('session_clusters', 'personas'),
    ('session_clusters', 'playlists'),
    -- artist_cooccurrence
    ('artist_cooccurrence', 'playlists');
comment on view staging.step_inputs is 'The map of marks: a day on which an input changed is marked in pending_days for each step that reads it. Ingestion and the triggers on raw data mark listening_events, new audio features mark session_features.';
comment on column staging.step_inputs.input is 'A table of schema staging, or a part of what one says.';
comment on column staging.step_inputs.step is 'The step that reads it, as in pending_days.';

-- Marks the days of a table with columns user_id and local_date for all steps that read the input.
-- In one order, so that of two steps side by side neither waits for a mark of the other's while that waits for one of its own.
create function staging.mark_readers(changed_input text, changed_days regclass) returns void language plpgsql as $$
begin
    execute format(
        'insert into pending_days (step, user_id, day)
        select distinct i.step, c.user_id, c.local_date
        from %s c
        join staging.step_inputs i on i.input = $1
        order by i.step, c.user_id, c.local_date
        on conflict do nothing',
        changed_days
    ) using changed_input;
end $$;
