"""Metadata, dependencies and console scripts of NexusCore; the tools' settings are in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'^__version__ = "([^"]+)"', (HERE / "NexusCore/__init__.py").read_text("utf-8"), re.M)
if VERSION is None:
    raise SystemExit("NexusCore/__init__.py states no __version__")

# The later releases (26.x) carry a C extension that does not load beside Debian 12's OpenSSL and fall back,
# without a word, to a pure Python one a fifth as fast.
CONNECTOR = "mysql-connector-python>=9.4,<10"

EXTRAS = {
    "setup": ["SQLAlchemy>=2.0.40", "alembic>=1.13"],
    "builder": [
        "rosettasciio[blockfile,hdf5,image,mrcz,tiff,zspy]>=0.9",
        "sparse>=0.15",
        "imagecodecs>=2024.1.1",
        "hdf5plugin>=4.4",
        "dask[array]>=2024.1",
        "h5py>=3.10",
        "numcodecs>=0.12",
        "numpy>=1.26",
        "pint>=0.23",
        "tifffile>=2024.1",
        "matplotlib>=3.8",
        "Pillow>=10.2",
        "lxml>=5.1",
    ],
    "harvester": [
        "icalendar>=6.0",
        "lxml>=5.1",
        "recurring-ical-events>=3.3",
        "requests>=2.31",
        "requests-ntlm>=1.3",
        "tenacity>=8.2",
    ],
    "uploader": ["lxml>=5.1", "requests>=2.31", "tenacity>=8.2"],
    "dask": ["distributed>=2024.1"],
    "logger": [],
}
EXTRAS["services"] = sorted({one for name in ("builder", "dask", "harvester", "uploader") for one in EXTRAS[name]})
EXTRAS["test"] = [
    "aiosmtpd>=1.4",
    "hypothesis>=6.100",
    "lxml-stubs>=0.5",
    "mypy>=1.10",
    "pytest>=8.2",
    "pyte>=0.8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.5",
    "rocrate>=0.13",
    "ruff>=0.5",
    "types-requests",
]

TOOLS = ("ConfigTool", "ConfigUI", "Doctor", "SessionTool", "TailLog", "TailStatus")

setup(
    name="NexusCore",
    version=VERSION[1],
    description="Configuration, status, logs and session records for electron-microscopy facilities",
    python_requires=">=3.11",
    packages=find_packages(include=["NexusCore*", "Services*", "Tools*", "Logger*"]),
    package_data={
        # Alembic reads these as files: they are no modules of the package.
        "NexusCore.storage": ["migrations/*", "migrations/versions/*.py"],
        "Services.Builder": ["schema/*.xsd"],
        "Services.Harvester.sources.sharepoint": ["*.xslt"],
    },
    install_requires=[
        CONNECTOR,
        "argcomplete>=3.2",
        "curses-menu>=0.9",
        "msgspec>=0.18.6",
        "platformdirs>=4.0",
        "rich>=13.7",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [f"{tool}=Tools.{tool}:main" for tool in TOOLS],
        "gui_scripts": ["SessionLogger=Logger.__main__:main"],
    },
)
