"""Adds the default configuration to a database; existing parameters stay as they are."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from NexusCore import settings
from NexusCore.API import App
from NexusCore.errors import NexusError
from NexusCore.resources import reported, sentence_of
from NexusCore.service import declare_interval
from NexusCore.settings import DatabaseURL, Settings
from Services.Gateway.settings import FOLDER, declare

DEFAULTS_FILE = Path(__file__).with_name("default-configuration.json")


def set_defaults(url: DatabaseURL) -> int:
    """Add the missing parameters; return their number."""
    with tempfile.TemporaryDirectory() as home:  # temporary, so that no journals are left behind
        app = App(Settings(url, url, url, url, Path(home)), tool="install")
        try:
            # The Gateway's account may not do this itself.
            gateway = app.get_config(FOLDER)
            declare_interval(gateway)
            declare(gateway)
            return app.get_config().deserialize(DEFAULTS_FILE.read_text("utf-8"), overwrite=False, why="set-up")
        finally:
            app.shutdown()


def main() -> int:
    """Set the defaults in the configuration database of the settings."""
    try:
        set_defaults(settings.load().config)
    except NexusError as error:
        print(sentence_of(error), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(reported(main))
