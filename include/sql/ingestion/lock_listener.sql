select pg_advisory_xact_lock(hashtextextended('import_streaming_history ' || %(user_id)s, 0))
