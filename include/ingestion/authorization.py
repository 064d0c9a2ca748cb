"""How long an authorization lasts at Spotify. Refreshing its token does not extend it."""

from __future__ import annotations

from datetime import timedelta

AUTHORIZATION_LASTS = timedelta(days=182)  # six months
WARN_AFTER = timedelta(days=150)  # from the fifth month on
