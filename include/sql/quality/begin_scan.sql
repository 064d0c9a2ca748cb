select staging.begin_scan(%(scan)s)
