insert into ingestion_gaps (user_id, gap_start, gap_end, run_id)
values (%(user_id)s, %(gap_start)s, %(gap_end)s, %(run_id)s)
on conflict (user_id, gap_start) do nothing
