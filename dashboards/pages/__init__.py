"""The five pages, each a marimo notebook. This file is imported by Airflow's plugin too: nothing heavy here."""

# Name in the address → title, and the question the page answers.
PAGES = {
    "overview": ("Overview", "What played, and what stands out"),
    "trends": ("Trends", "How listening changes over time"),
    "personas": ("Personas", "Who this listener is, session by session"),
    "playlists": ("Playlists", "Made from the personas, every track with its reason"),
    "quality": ("Quality", "How sound and how fresh these data are"),
}
