delete from qa_validation_results where run_id = %(run_id)s and scan = %(scan)s
