"""Intake: files what detectors and receivers drop into folders, once and where people look for it."""
