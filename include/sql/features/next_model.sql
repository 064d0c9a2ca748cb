-- Version of a listener's next model, and the id of the next new persona.
select coalesce(max(m.version), 0) + 1 as version, coalesce(max(persona_id), 0) + 1 as persona_id
from staging.clustering_models m
left join lateral unnest(m.persona_ids) as persona_id on true
where m.user_id = %(user_id)s
