-- name: personas_so_far
select
    persona_id,
    label,
    traits,
    labelled_on,
    previous_label,
    label_reason,
    description,
    explanation,
    model_version
from staging.personas
where user_id = %(user_id)s;

-- name: active_personas
select persona_id, label, description
from staging.personas
where user_id = %(user_id)s and is_active
order by persona_id;
