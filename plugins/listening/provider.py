"""What Airflow learns of this package as of any provider: here, connection type `spotify` and its form.

Airflow looks for entry point `apache_airflow_provider` of every distribution on its path. plugins/ is on that path, so
`plugins/spotify_listening.dist-info` is one, without being installed.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description, by Airflow's provider_info.schema.json."""
    return {
        "package-name": "spotify-listening",
        "name": "Spotify listening",
        "description": "Listening analytics on Airflow.",
        "connection-types": [
            {
                "connection-type": "spotify",
                "hook-class-name": "listening.hooks.spotify.SpotifyHook",
                "hook-name": "Spotify",
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "port", "schema"],
                    "relabeling": {"login": "Client ID", "password": "Client secret"},
                },
                "conn-fields": {
                    "refresh_token": _field("Refresh token", "Written by `make authorize`.", format="password"),
                    "user_id": _field("Listener", "The user_id in table listeners; without it, the connection's id."),
                    "scope": _field("Scopes", "What the account was asked for, separated by spaces."),
                    "authorized_at": _field("Authorized at", "When the account was authorized, ISO 8601."),
                },
            }
        ],
    }


def _field(label: str, description: str, **schema: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}
