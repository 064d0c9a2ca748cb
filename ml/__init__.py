"""Sessions → features → clusters → personas → playlists. Knows psycopg and scikit-learn, nothing of Airflow."""
