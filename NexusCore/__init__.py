"""NexusCore: configuration, status and logs of an electron-microscopy facility, in its database.

``NexusCore.API`` is the entry; its four functions are also here: ``NexusCore.get_config("Instruments.Camera")``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from NexusCore import API
    from NexusCore.API import get_config, get_log, get_status, shutdown

__version__ = "0.1.0"

__all__ = ["API", "get_config", "get_log", "get_status", "shutdown"]

if not TYPE_CHECKING:
    # The façade is imported at first use: a tool that reads one parameter does without it. If packages are missing, the
    # tools say which, later.
    with suppress(ModuleNotFoundError):
        import lazy_loader

        __getattr__, __dir__, _ = lazy_loader.attach(
            __name__,
            submodules={"API"},
            submod_attrs={
                "API": ["get_config", "get_log", "get_status", "shutdown"],
            },
        )
