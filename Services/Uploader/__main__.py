"""``python -m Services.Uploader``, and the console script ``Uploader``."""

import sys

from NexusCore import signals


def main() -> int:
    """Run the Uploader; return the exit code."""
    signals.quiet_interrupts()  # before all else is imported, which takes a while
    from NexusCore import service
    from Services.Uploader.service import Uploader

    return service.main(Uploader)


if __name__ == "__main__":
    sys.exit(main())
