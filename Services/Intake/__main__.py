"""``python -m Services.Intake``, and the console script ``Intake``."""

import sys

from NexusCore import signals


def main() -> int:
    """Run the Intake; return the exit code."""
    signals.quiet_interrupts()  # before all else is imported, which takes a while
    from NexusCore import service
    from Services.Intake.service import Intake

    return service.main(Intake)


if __name__ == "__main__":
    sys.exit(main())
