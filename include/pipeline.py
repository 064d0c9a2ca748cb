"""What the rooms of the project must agree on."""

from __future__ import annotations

DAG_ID = "spotify_listening"
SESSION_GAP_MINUTES = 30  # plays of one session have at most so much silence between them
