"""The Harvester: keeps the facility's reservations fresh from the calendars it is told of."""
