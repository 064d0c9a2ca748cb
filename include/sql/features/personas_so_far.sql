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
where user_id = %(user_id)s
