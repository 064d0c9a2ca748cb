"""What pages are put together from: functions that return safe HTML (markupsafe.Markup), made by the templates in
dashboards/templates. They get their data from the page and never query the database."""
