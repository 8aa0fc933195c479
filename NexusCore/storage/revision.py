"""The revision of the tables that this code reads and writes: that of the newest migration."""

from __future__ import annotations

from pathlib import Path

MIGRATIONS = Path(__file__).with_name("migrations")
SCHEMA_REVISION = max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""The number that the newest file's name begins with."""
