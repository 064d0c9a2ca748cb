"""Charts: Altair's by page, and svg_charts for what Altair cannot draw well. Frames of dashboards.queries go in."""

from dashboards.charts import personas, quality, svg_charts, trends
from dashboards.charts.figures import figure
from dashboards.charts.time_axis import with_days

__all__ = ["figure", "personas", "quality", "svg_charts", "trends", "with_days"]
