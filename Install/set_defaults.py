"""Adds the default configuration to a database, as ``python -m NexusCore.declare`` does; what is set stays as it is."""

from __future__ import annotations

import sys

from NexusCore.declare import main
from NexusCore.resources import reported

if __name__ == "__main__":
    sys.exit(reported(main))
