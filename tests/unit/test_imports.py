"""Who may import whom, and what is never imported before it is needed (design: the house)."""

from __future__ import annotations

import ast
import logging
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import redirect_stdout
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions, requires
from io import StringIO
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.processes import PROJECT, run

HEAVY = {
    "mysql", "_mysql_connector", "sqlite3", "sqlalchemy", "alembic", "numpy", "lxml", "rich", "hyperspy", "rsciio",
    "sklearn", "matplotlib", "dask", "tkinter", "fastapi", "uvicorn", "requests", "PIL", "icalendar", "cursesmenu",
}  # fmt: skip
READING = {
    "numpy", "scipy", "hyperspy", "exspy", "rsciio", "sklearn", "skimage", "dask", "distributed", "numba", "sparse",
    "pint", "h5py", "hdf5plugin", "tifffile", "imagecodecs", "matplotlib", "PIL", "traits", "sympy",
}  # fmt: skip
"""Top names of modules that reading instrument files takes."""


def modules(folder: str) -> list[Path]:
    found = [
        path
        for path in sorted((PROJECT / folder).rglob("*.py"))
        if not {"migrations", ".venv"} & set(path.relative_to(PROJECT).parts)
    ]
    assert found, folder
    return found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of what a module imports, anywhere in it."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_arrows_of_the_house_are_kept() -> None:
    """The contracts in pyproject.toml say which room may use which; imports for types and inside functions count."""
    output = StringIO()
    known = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    enabled = [logger for logger in known if not logger.disabled]
    with redirect_stdout(output):
        code = lint_imports(config_filename=str(PROJECT / "pyproject.toml"), no_cache=True)
    for logger in enabled:  # it sets up logging for itself alone, and disables all loggers of others
        logger.disabled = False
    assert code == 0, output.getvalue()


def test_every_module_of_the_core_is_an_entry_or_its_own() -> None:
    """One that no service, tool or logger uses is named in the contract: to make it an entry is a decision."""
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    own = {name for contract in contracts if contract["type"] == "protected" for name in contract["protected_modules"]}
    core = {name_of(path) for path in modules("NexusCore")}
    used = {name for folder in ("Services", "Tools", "Logger") for path in modules(folder) for name in imports(path)}
    undecided = {name for name in core - used if not any(f"{name}.".startswith(f"{one}.") for one in own)}
    assert undecided == set()


def imported_files(path: Path, known: set[str]) -> set[str]:
    """Return which of the known modules a file imports, anywhere in it: for types and inside functions too."""
    files: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            files |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            files |= full if full <= known else full | {str(node.module)}
    return files & known - {name_of(path)}


def test_no_circle_of_files() -> None:
    """Each file can be read after those that it imports."""
    folders = ("NexusCore", "Services", "Tools", "Logger")
    files = {name_of(path): path for folder in folders for path in modules(folder)}
    try:
        TopologicalSorter({name: imported_files(path, set(files)) for name, path in files.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_a_class_name_stands_once() -> None:
    """A name that is used twice has to be told apart by its module at each reading."""
    places = defaultdict(list)
    for folder in ("NexusCore", "Services", "Tools", "Logger"):
        for path in modules(folder):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(name_of(path))
    assert {name: found for name, found in places.items() if len(set(found)) > 1} == {}


def test_no_module_is_longer_than_500_lines() -> None:
    folders = ("NexusCore", "Services", "Tools", "Logger", "tests")
    sizes = {name_of(path): path.read_text("utf-8").count("\n") for folder in folders for path in modules(folder)}
    assert {name: size for name, size in sizes.items() if size > 500} == {}


def test_no_test_opens_a_window_in_its_own_process() -> None:
    """Python collects what is left of a window in any thread, and Tk ends the process where it is not its own."""
    drawing = {
        name_of(path) for path in modules("tests") if "tkinter" in {name.split(".")[0] for name in imports(path)}
    }
    assert drawing == set()


class TestWhatIsNotImported:
    """What a program does not use it does not wait for: drivers and heavy packages come when they are needed."""

    @pytest.mark.parametrize(
        "program",
        [
            "import NexusCore",
            "import NexusCore.API",
            "from NexusCore import API, get_config, get_log, get_status, shutdown",
            "from NexusCore import settings; settings.load()",
            "from NexusCore import API; API.shutdown()",
            "import NexusCore.facility, NexusCore.service, NexusCore.tail",
        ],
    )
    def test_of_the_core(self, program: str, tmp_path: Path) -> None:
        assert imported_by(program, f"sqlite:///{tmp_path}/n.db", tmp_path) == set()

    def test_the_facade_imports_no_room(self, tmp_path: Path) -> None:
        """A program that only imports it waits for none of what it may never use."""
        program = "import sys; import NexusCore.API; print(*sys.modules)"
        found = run(program, main=f"sqlite:///{tmp_path}/n.db", home=tmp_path).split()
        rooms = ("config", "delivery", "log", "status", "storage", "tail")
        assert "NexusCore.API" in found
        assert [one for one in found if one.startswith(tuple(f"NexusCore.{room}" for room in rooms))] == []
        assert not {"msgspec", "logging", "socket"} & set(found)

    def test_a_log_call_needs_a_driver_only_to_deliver(self, sqlite_url: str, tmp_path: Path) -> None:
        program = "from NexusCore import API; API.get_log('x').info('x'); API.get_status('x')['a'] = 1; API.shutdown()"
        assert imported_by(program, sqlite_url, tmp_path) == {"sqlite3"}

    def test_what_services_declare_needs_no_package_of_a_service(self, tmp_path: Path) -> None:
        """Tools show and check the settings of services where only the tools are installed."""
        program = "import sys; from NexusCore.config.catalogue import catalogue; catalogue(); print(*sys.modules)"
        modules_ = run(program, main=f"sqlite:///{tmp_path}/n.db", home=tmp_path).split()
        providers = packages_distributions()
        used = {canonical(name) for module in modules_ for name in providers.get(module.partition(".")[0], ())}
        lines = requires("NexusCore") or []
        always = {canonical(line) for line in lines if "extra ==" not in line}
        assert used & ({canonical(line) for line in lines} - always) == set()

    @pytest.mark.parametrize(
        "module",
        [
            *(f"Tools.{name}" for name in ("ConfigTool", "ConfigUI", "Doctor", "SessionTool", "TailLog", "TailStatus")),
            *(f"Services.{name}.service" for name in ("Harvester", "Uploader")),
            "Logger.controller",
            "Services.Builder.service",
        ],
    )
    def test_of_what_reads_no_instrument_file(self, module: str, tmp_path: Path) -> None:
        """The libraries for that are the reading processes' own; the Builder itself has NumPy for its groups."""
        program = f"import sys, {module}; print('imported:', *{{name.split('.')[0] for name in sys.modules}})"
        printed = run(program, main=f"sqlite:///{tmp_path}/n.db", home=tmp_path).splitlines()[-1]
        assert READING & set(printed.removeprefix("imported:").split()) == set()

    def test_of_an_operators_tool(self, sqlite_url: str, tmp_path: Path) -> None:
        """One that asks a MySQL server needs its driver and nothing else."""
        program = "from NexusCore import API; print(API.get_config()['default_version'])"
        assert imported_by(program, sqlite_url, tmp_path) == {"sqlite3"}


def canonical(requirement: str) -> str:
    """Return the name of a distribution from its name or a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement)[0]).lower()


def imported_by(program: str, url: str, home: Path) -> set[str]:
    """Return which of the heavy packages a program has imported at its end."""
    ending = "\nimport sys; print('imported:', *{name.split('.')[0] for name in sys.modules})"
    printed = run(program + ending, main=url, home=home).splitlines()[-1]
    return HEAVY & set(printed.removeprefix("imported:").split())
