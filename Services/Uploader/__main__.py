"""``python -m Services.Uploader``."""

import sys

from NexusCore.service import main
from Services.Uploader.service import Uploader

if __name__ == "__main__":
    sys.exit(main(Uploader))
