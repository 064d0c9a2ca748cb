select persona_id, label, description
from staging.personas
where user_id = %(user_id)s and is_active
order by persona_id
