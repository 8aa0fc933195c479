"""Care for sessions that nobody ends, and for those whose files do not come."""
