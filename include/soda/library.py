"""Soda's library with telemetry and .env files switched off, which must happen before its first import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soda.scan import Scan


def load_soda() -> type[Scan]:
    """Soda's class Scan. It sends no usage data, installs no tracer, and lets no stray .env change the environment."""
    from soda.common import env_helper
    from soda.common.config_helper import ConfigHelper

    # Before soda.scan is imported, which sets up telemetry.
    ConfigHelper.get_instance(str(Path(__file__).with_name("usage.yml")))
    env_helper.load_dotenv = lambda *_, **__: False

    from soda.scan import Scan

    return Scan
