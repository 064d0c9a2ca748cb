update staging.clustering_models
set is_current = false
where user_id = %(user_id)s and is_current
