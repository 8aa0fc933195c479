"""``python -m Services.Builder.extract``: extracts the metadata and the preview of one instrument file."""

import sys

from NexusCore.resources import reported

if __name__ == "__main__":
    from Services.Builder.commands.extract import main

    sys.exit(reported(main))
