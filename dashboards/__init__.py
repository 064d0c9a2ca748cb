"""Five pages (marimo notebooks) over the published tables, what they are put together from, and the server for them."""
