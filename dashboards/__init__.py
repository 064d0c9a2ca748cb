"""Five marimo apps over the published tables, their common look, and the server that shows them together."""
