"""The services: each stands on the core alone, and they meet only in the database."""
