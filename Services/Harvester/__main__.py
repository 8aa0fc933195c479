"""``python -m Services.Harvester``."""

import sys

from NexusCore.service import main
from Services.Harvester.service import Harvester

if __name__ == "__main__":
    sys.exit(main(Harvester))
