"""``python -m Services.Builder``."""

import sys

from NexusCore.service import main
from Services.Builder.service import Builder

if __name__ == "__main__":
    sys.exit(main(Builder))
