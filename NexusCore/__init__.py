"""NexusCore: configuration, status and logs of an electron-microscopy facility, in its database.

``NexusCore.API`` is the entry; its four functions are also here: ``NexusCore.get_config("Instruments.Camera")``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from NexusCore import API
    from NexusCore.API import get_config, get_log, get_status, shutdown

__version__ = "0.1.0"

__all__ = ["API", "get_config", "get_log", "get_status", "shutdown"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import the façade when it is first asked for: a tool that reads one parameter does without it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        facade = import_module("NexusCore.API")
        return facade if name == "API" else getattr(facade, name)
