select user_id from listeners
