"""Soda's library as this project wants it, whoever imports it first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soda.scan import Scan


def load_soda() -> type[Scan]:
    """Soda's Scan, which sends no usage data, installs no tracer, and reads no stray .env over the environment."""
    from soda.common import env_helper
    from soda.common.config_helper import ConfigHelper

    # before soda.scan, which sets up telemetry when imported
    ConfigHelper.get_instance(str(Path(__file__).with_name("usage.yml")))
    env_helper.load_dotenv = lambda *_, **__: False

    from soda.scan import Scan

    return Scan
