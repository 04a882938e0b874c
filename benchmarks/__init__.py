"""Ours beside what users have today, in one run, alternated, and what came out as JSON and as a page."""
