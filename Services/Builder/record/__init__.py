"""The record of a session: what stands in it, its XML and its schema."""
