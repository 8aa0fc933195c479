"""Rules: which files are filed where, and under which name."""
