select staging.pass_scan(%(scan)s, %(seen)s, %(run_id)s)
