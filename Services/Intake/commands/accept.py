"""``accept RULE``: a rule is used from now on, as it is set; with ``--force``, although files collide under it."""

from __future__ import annotations

from contextlib import closing

from NexusCore.API import App
from NexusCore.errors import EXIT_OK
from NexusCore.text import counted
from Services.Intake.acceptance import Acceptance, rule_named
from Services.Intake.commands.cli_options import IntakeOptions
from Services.Intake.settings import FOLDER, read


def main(options: IntakeOptions) -> int:
    """Run from the command line; return the exit code: 4 if files collide, and it is not forced."""
    app = App(tool="Services.Intake")
    try:
        config = app.get_config()
        with closing(app.database()) as database:
            settings = read(config)
            rule = rule_named(str(options.rule), settings)
            acceptance = Acceptance(config, app.get_config(FOLDER), database, app.clock)
            if options.force:
                found = acceptance.collisions(rule, settings)
                acceptance.note(rule, options.why)
                print(f"The rule '{rule.name}' is used now; {counted(len(found), 'file')} collide and stay.")  # noqa: T201
            else:
                acceptance.accept(rule, settings)
                print(f"The rule '{rule.name}' is used now.")  # noqa: T201
    finally:
        app.shutdown(1.0)
    return EXIT_OK
