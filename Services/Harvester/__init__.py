"""The Harvester: keeps the facility's reservations fresh from the calendars in its configuration."""
