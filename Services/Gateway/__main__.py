"""``python -m Services.Gateway``, and the console script ``Gateway``."""

import sys

from NexusCore import signals


def main() -> int:
    """Run the Gateway; return the exit code."""
    signals.quiet_interrupts()  # before all else is imported, which takes a while
    from NexusCore import service
    from Services.Gateway.service import Gateway

    return service.main(Gateway)


if __name__ == "__main__":
    sys.exit(main())
