-- The dashboards' records (most plays of a track in a day, longest session) without reading the whole history.
create index track_days_plays on analytics.track_days (user_id, plays desc, local_date);
create index listening_sessions_length on analytics.listening_sessions (user_id, length_ms desc, session_id);
