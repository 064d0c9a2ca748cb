"""Sessions → features → clusters → personas → playlists. Knows psycopg and scikit-learn, nothing of Airflow."""

# The steps in the DAG's order, each a function of the task's name, and the module that holds it.
STEPS = {
    "build_session_features": "ml.features.session_features",
    "build_user_features": "ml.features.user_features",
    "cluster_sessions": "ml.personas.session_clusters",
    "label_personas": "ml.personas.personas",
    "artist_cooccurrence": "ml.playlists.cooccurrence",
    "generate_playlists": "ml.playlists.playlists",
}
