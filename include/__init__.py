"""PROJECT: the folder of the checkout, or /opt/listening in the image."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
