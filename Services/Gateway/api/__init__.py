"""The paths of the API, level 1."""
