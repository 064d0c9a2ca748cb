-- Version of a listener's current model, and its personas.
select version, persona_ids
from staging.clustering_models
where user_id = %(user_id)s and is_current
