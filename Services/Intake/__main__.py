"""``python -m Services.Intake``."""

import sys

from NexusCore import signals

if __name__ == "__main__":
    signals.quiet_interrupts()  # before all else is imported, which takes a while
    from NexusCore.service import main
    from Services.Intake.service import Intake

    sys.exit(main(Intake))
