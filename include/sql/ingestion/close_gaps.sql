-- An export is complete from its first play to its last, so it closes the gaps within. A zip is an export; loose files of
-- one folder are one. One that could not be read as a whole covers nothing for sure.
with exports as (
    select
        user_id,
        case when file_name ilike '%%.zip' then file_name else regexp_replace(file_name, '[^/]*$', '') end as export,
        min(first_played_at) as first_played_at,
        max(last_played_at) as last_played_at
    from ingested_files
    where user_id = any(%(user_ids)s)
    group by 1, 2
    having bool_and(status in ('loaded', 'ignored'))
)

update ingestion_gaps as g
set closed_at = %(closed_at)s, closed_by = coalesce(nullif(e.export, ''), 'loose files')
from exports e
where
    e.user_id = g.user_id
    and g.closed_at is null
    and e.first_played_at <= g.gap_start + interval '1 minute'
    and e.last_played_at >= g.gap_end - interval '1 minute'
