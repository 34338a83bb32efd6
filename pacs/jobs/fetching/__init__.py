"""Fetching from another archive what is missing here, through the one door."""
