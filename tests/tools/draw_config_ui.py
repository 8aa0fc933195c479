"""Draws ConfigUI's screen for the documentation: ``python -m tests.tools.draw_config_ui docs/configui.png``.

ConfigUI runs in an emulated terminal, on a database of its own; the cells of that terminal are drawn.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib
import pyte
from PIL import Image, ImageDraw, ImageFont

from NexusCore.config.store import Edit
from NexusCore.config.values import Limits
from NexusCore.storage import open_database
from NexusCore.storage.migrate import migrate
from tests.tools.config_ui_stage import INTERVAL, ui
from tests.tools.conftest import configure
from tests.tools.emulated import ENTER, ERASE_LINE

ROWS, COLUMNS = 22, 84
SIZE, WIDTH, HEIGHT, MARGIN = 17, 10, 22, 12
COLOURS = {
    "default": "#d8d8d8", "black": "#000000", "red": "#ff6b6b", "green": "#7fd97f", "brown": "#e5c07b",
    "blue": "#7aa2f7", "magenta": "#c792ea", "cyan": "#6fd0d8", "white": "#ffffff",
}  # fmt: skip
"""Of letters, by the names that the emulator gives the colours of a Linux console."""
GROUND = "#1c1f26"
CONFIGURATION = (
    Edit("Facility.data_root", value="/srv/data", comment="Folder that instruments' folders are in"),
    Edit("Instruments.FEI-Titan-TEM.filestore_path", value="./Titan"),
    Edit("Log.keep_days", value=365),
    Edit(INTERVAL, value=30, comment="Seconds between two looks for sessions to build", limits=Limits(1, 3600)),
    Edit("Services.Builder.enabled", value=True, comment="Whether records are built"),
    Edit("Services.Builder.parallel", value=4, comment="Files that are read at the same time"),
    Edit("Services.Builder.previews.colours", value="gray", limits=Limits(choices=("gray", "viridis"))),
    Edit("Services.Harvester.enabled", value=True),
    Edit("Services.Uploader.destinations", value="directory, cdcs"),
)


def shown() -> pyte.Screen:
    """Return the screen while a value is edited that does not fit, and somebody else has changed another one."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/nexus.db"
        migrate(url)
        database = open_database(url)
        configure(database, *CONFIGURATION)
        places = {"NEXUSCORE_DATABASE": url, "NEXUSCORE_HOME": folder, "NEXUSCORE_ETC": folder, "HOME": folder}
        with ui(INTERVAL, rows=ROWS, columns=COLUMNS, **places) as terminal:
            terminal.until_chosen("interval = 30")
            configure(database, Edit("Services.Harvester.enabled", value=False))
            terminal.until("changed .*Services.Harvester.enabled")
            terminal.type(ENTER + ERASE_LINE + "4000" + ENTER)
            terminal.until("at most 3600")
            return terminal.screen


def drawn(screen: pyte.Screen) -> Image.Image:
    """Return the picture of a screen."""
    fonts = Path(matplotlib.get_data_path(), "fonts/ttf")
    plain, bold = (ImageFont.truetype(fonts / f"DejaVuSansMono{name}.ttf", SIZE) for name in ("", "-Bold"))
    size = screen.columns * WIDTH + 2 * MARGIN, screen.lines * HEIGHT + 2 * MARGIN
    image = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(image)
    for row in range(screen.lines):
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            at = MARGIN + column * WIDTH, MARGIN + row * HEIGHT
            ink = COLOURS.get(cell.fg, COLOURS["default"])
            paper = GROUND if cell.bg == "default" else COLOURS.get(cell.bg, GROUND)
            if cell.reverse:
                ink, paper = paper, ink
            draw.rectangle((*at, at[0] + WIDTH - 1, at[1] + HEIGHT - 1), fill=paper)
            draw.text(at, cell.data, fill=ink, font=bold if cell.bold else plain)
    return image


if __name__ == "__main__":
    drawn(shown()).save(sys.argv[1], optimize=True)
