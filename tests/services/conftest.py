"""What several tests of the services stand on."""

from __future__ import annotations

from tests.services.instrument_files import readers_let_go

__all__ = ["readers_let_go"]
