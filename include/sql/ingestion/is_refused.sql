select from unknown_ids where id = %(id)s and expires_at > %(now)s
