select status from ingested_files where user_id = %(user_id)s and sha256 = %(sha256)s
