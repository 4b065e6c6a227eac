"""Sections of the page Engagement."""
