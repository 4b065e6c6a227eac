"""Every statement of the dashboard, a module per page."""
