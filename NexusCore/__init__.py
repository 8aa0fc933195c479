"""NexusCore: configuration, status and logs of an electron-microscopy facility, in its database.

``NexusCore.API`` is the entry; its four functions are also here: ``NexusCore.get_config("Instruments.Camera")``.
"""

from NexusCore import API
from NexusCore.API import get_config, get_log, get_status, shutdown

__version__ = "0.1.0"

__all__ = ["API", "get_config", "get_log", "get_status", "shutdown"]
