"""The five pages, each a marimo notebook. This file is imported by Airflow's plugin too: nothing heavy here."""

# Name in the address → title, and the question the page answers.
PAGES = {
    "overview": ("Overview", "What was played most, and when"),
    "trends": ("Trends", "How listening changes over time"),
    "personas": ("Personas", "The kinds of listening sessions in this history"),
    "playlists": ("Playlists", "One for each persona, with a reason for every track"),
    "quality": ("Quality", "Whether the data are complete, checked and up to date"),
}
