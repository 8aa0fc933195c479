"""Grouping a session's files into acquisition activities."""
