"""What the tests of the core on databases share."""

from __future__ import annotations

from tests.processes import no_process_stays

__all__ = ["no_process_stays"]
