insert into ingested_files as f (
    sha256, user_id, file_name, status, message, size_bytes, rows_read, rows_loaded, rows_already_known, skipped_rows, members,
    first_played_at, last_played_at, run_id
)
values (
    %(sha256)s, %(user_id)s, %(file_name)s, %(status)s, %(message)s, %(size_bytes)s, %(rows_read)s, %(rows_loaded)s,
    %(rows_already_known)s, %(skipped_rows)s, %(members)s, %(first_played_at)s, %(last_played_at)s, %(run_id)s
)
on conflict (user_id, sha256) do update set
    file_name = excluded.file_name,
    status = excluded.status,
    message = excluded.message,
    rows_read = excluded.rows_read,
    rows_loaded = excluded.rows_loaded,
    rows_already_known = excluded.rows_already_known,
    skipped_rows = excluded.skipped_rows,
    members = excluded.members,
    first_played_at = excluded.first_played_at,
    last_played_at = excluded.last_played_at,
    run_id = excluded.run_id,
    ingested_at = now()
where (f.status, f.message, f.members) is distinct from (excluded.status, excluded.message, excluded.members)
