"""Draws the page of a record for the documentation: ``python -m tests.tools.draw_record docs/record``.

The record is the demonstration's, made in a folder of its own; a browser without a window takes the pictures.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

PROJECT = Path(__file__).resolve().parents[2]
SECONDS = 900
VIEWS = {
    "light": (1240, 1560, ()),
    "dark": (1240, 1560, ("--blink-settings=preferredColorScheme=0",)),
    "phone": (500, 1100, ()),
}
"""Width, height and the browser's further arguments by the picture's name."""


def record(home: Path) -> Path:
    """Run the demonstration; return the page of its record."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEXUSCORE_")}
    environment |= {
        "NEXUSCORE_HOME": str(home),
        "NEXUSCORE_ETC": str(home),
        "HOME": str(home),
        "PYTHONPATH": str(PROJECT),
    }
    demo = [sys.executable, str(PROJECT / "Install/demo.py")]
    subprocess.run(demo, env=environment, cwd=home, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
    (page,) = [page for page in home.rglob("*.html") if page.with_suffix(".xml").exists() and "Demo-TEM" in page.name][
        :1
    ]
    return page


def draw(browser: str, page: Path, target: Path) -> None:
    """Take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (width, height, arguments) in VIEWS.items():
            picture = Path(folder, "picture.png")
            subprocess.run(
                [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                 "--disable-background-networking", f"--user-data-dir={folder}/profile", *arguments,
                 f"--window-size={width},{height}", f"--screenshot={picture}", page.as_uri()],
                check=True, timeout=120, capture_output=True,
            )  # fmt: skip
            Image.open(picture).convert("P", palette=Image.Palette.ADAPTIVE).save(target / f"{name}.png", optimize=True)


if __name__ == "__main__":
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("There is no chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as temporary:
        draw(program, record(Path(temporary)), Path(sys.argv[1]))
