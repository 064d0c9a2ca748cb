select count(*) as sessions
from staging.session_features
where user_id = %(user_id)s
