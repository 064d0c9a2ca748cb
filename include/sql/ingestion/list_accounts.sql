select
    user_id,
    connection_id
from listeners
where
    connection_id is not null
    and (cardinality(%(user_ids)s::text[]) = 0 or user_id = any(%(user_ids)s))
order by user_id
