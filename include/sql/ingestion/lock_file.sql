select pg_advisory_xact_lock(hashtextextended(%(user_id)s || %(sha256)s, 0))
