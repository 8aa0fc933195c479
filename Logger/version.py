"""The version of the session logger, that of NexusCore, and the level of the Gateway's API that it speaks."""

from __future__ import annotations

VERSION = "0.1.0"
API_LEVEL = 1
