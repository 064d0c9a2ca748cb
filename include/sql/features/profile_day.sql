select as_of
from staging.user_features
where user_id = %(user_id)s
