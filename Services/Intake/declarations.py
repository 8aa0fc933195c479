"""What Intake reads from the configuration; see `NexusCore.config.catalogue`."""

from __future__ import annotations

from typing import cast

from NexusCore.config import NamedConfiguration
from NexusCore.config.catalogue import Collected
from NexusCore.config.forms import MOMENT, PATH
from Services.Intake.settings import ACCEPTED, BUCKET_PARAMETERS, COPIED_TO, FOLDER, INTERVAL, set_defaults


def declare(config: Collected) -> None:
    """Declare Intake's own parameters, and those of its inboxes, rules, mirrors and silences."""
    own = config.at(FOLDER)
    own.set_default(
        "interval", INTERVAL, comment="Seconds between two looks into the drop folders.", minimum=0.1, maximum=3600
    )
    set_defaults(cast("NamedConfiguration", own))
    own.may_have("inboxes.*.path", "", comment="Its folder, an absolute path.", form=PATH)
    own.may_have("mirrors.*.path", "", comment="A folder; for the kind rsync host:/folder or rsync://host/folder.")
    for name, (default, comment, limits) in BUCKET_PARAMETERS.items():
        own.may_have(f"mirrors.*.{name}", default, comment=comment, **limits)
    own.may_have(f"rules.*.{ACCEPTED}", "", comment="Checksum of the settings that were accepted (Intake accept).")
    own.may_have(f"mirrors.*.{COPIED_TO}", "", comment="Place of the copies that were made; Intake sets it.")
    own.may_have("silences.*", "", comment="Until when alerts with this name are silent.", form=MOMENT)
