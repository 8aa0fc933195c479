"""``python -m Services.Harvester``, and the console script ``Harvester``."""

import sys

from NexusCore import signals


def main() -> int:
    """Run the Harvester; return the exit code."""
    signals.quiet_interrupts()  # before all else is imported, which takes a while
    from NexusCore import service
    from Services.Harvester.service import Harvester

    return service.main(Harvester)


if __name__ == "__main__":
    sys.exit(main())
