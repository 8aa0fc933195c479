"""Intake: files what detectors and receivers leave in drop folders, and keeps copies of it."""
