"""``python -m Services.Builder``, and the console script ``Builder``."""

import sys

from NexusCore import signals


def main() -> int:
    """Run the Builder; return the exit code."""
    signals.quiet_interrupts()  # before all else is imported, which takes a while
    from NexusCore import service
    from Services.Builder.service import Builder

    return service.main(Builder)


if __name__ == "__main__":
    sys.exit(main())
