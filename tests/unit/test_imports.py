"""Who may import whom, and what is never imported before it is needed (design: the house)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.processes import PROJECT, run

HEAVY = {
    "mysql", "_mysql_connector", "sqlite3", "sqlalchemy", "alembic", "numpy", "lxml", "rich", "hyperspy", "rsciio",
    "sklearn", "matplotlib", "dask", "tkinter", "fastapi", "uvicorn", "requests", "PIL", "icalendar", "cursesmenu",
}  # fmt: skip

LAYERS: dict[str, set[str]] = {
    # Each room of the core, and the rooms it may use, besides those that are for all.
    "errors": set(),
    "clock": set(),
    "text": set(),
    "sizes": set(),
    "forks": set(),
    "files": set(),
    "identity": set(),
    "signals": set(),
    "resources": set(),
    "database_url": set(),
    "settings": {"database_url"},
    "dispatch": set(),
    "call_filter": set(),
    "confinement": {"call_filter"},
    "wakeup": set(),
    "storage": {"settings", "database_url", "wakeup"},
    "tail": {"storage", "settings"},
    "delivery": {"storage", "settings"},
    "config": {"storage", "settings", "dispatch", "tail", "delivery"},
    "status": {"storage", "settings", "dispatch", "tail", "delivery"},
    "log": {"storage", "settings", "dispatch", "tail", "delivery"},
    "network": set(),
    "API": {"config", "status", "log", "tail", "delivery", "storage", "settings", "dispatch", "wakeup", "signals"},
    "facility": {"API", "config", "status", "log", "storage", "settings", "tail"},
    "service": {"signals", "API", "facility", "config", "status", "log", "storage", "settings", "tail"},
}
FOR_ALL = {"errors", "clock", "forks", "files", "identity", "text", "sizes", "resources"}
FOR_TYPES_ONLY = {
    # The destinations of the log are configured: API hands them the configuration, they import it for its type alone.
    ("log", "config"),
}


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


def imports(path: Path, *, for_types: bool) -> Iterator[str]:
    """Yield the full names of what a module imports, anywhere in it; those for type checkers alone if told."""
    tree = ast.parse(path.read_text("utf-8"))
    aside = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if (node in aside) != for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


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


def room(name: str) -> str | None:
    """Return which room of the core a full name is in."""
    parts = name.split(".")
    return parts[1] if parts[0] == "NexusCore" and len(parts) > 1 and parts[1] in LAYERS else None


class TestTheCore:
    """Inside it the arrows run API -> config, status, log -> delivery, tail -> storage -> settings -> errors."""

    @pytest.mark.parametrize("path", modules("NexusCore"), ids=name_of)
    def test_arrows(self, path: Path) -> None:
        own = room(name_of(path))
        if own is None:
            assert name_of(path) == "NexusCore"
            return
        allowed = LAYERS[own] | FOR_ALL | {own}
        used = {room(name) for name in imports(path, for_types=False)} - {None}
        assert used <= allowed
        for_types = {room(name) for name in imports(path, for_types=True)} - {None}
        assert {one for one in for_types - allowed if (own, one) not in FOR_TYPES_ONLY} == set()

    def test_the_table_has_no_circle(self) -> None:
        ranked: list[str] = []
        while len(ranked) < len(LAYERS):
            free = [one for one, uses in LAYERS.items() if one not in ranked and uses <= set(ranked)]
            assert free, "a circle"
            ranked += free

    def test_every_room_is_in_the_table(self) -> None:
        folders = {path.name for path in (PROJECT / "NexusCore").iterdir() if path.is_dir() and path.name[0] != "_"}
        files = {path.stem for path in (PROJECT / "NexusCore").glob("*.py")} - {"__init__"}
        assert folders | files == set(LAYERS)

    @pytest.mark.parametrize("path", modules("NexusCore"), ids=name_of)
    def test_nothing_from_outside(self, path: Path) -> None:
        roots = {name.split(".")[0] for kind in (False, True) for name in imports(path, for_types=kind)}
        assert not roots & {"Services", "Tools", "Logger", "tests"}


class TestTheHouse:
    """Services, tools and the logger stand on the core; one service never imports another."""

    @pytest.mark.parametrize("path", [*modules("Services"), *modules("Tools"), *modules("Logger")], ids=name_of)
    def test_each(self, path: Path) -> None:
        own = name_of(path).split(".")
        house = {"Services", "Tools", "Logger", "tests"}
        for name in (name for kind in (False, True) for name in imports(path, for_types=kind)):
            other = name.split(".")
            if other[0] not in house:
                continue
            assert other[0] == own[0], f"{'.'.join(own)} imports {name}"
            if own[0] == "Services" and len(other) > 1:
                assert other[1] == own[1], f"{'.'.join(own)} imports {name}"


@pytest.mark.parametrize("folder", ["NexusCore", "Logger"])
def test_no_circle_of_files(folder: str) -> None:
    """Each file can be read after those that it imports."""
    files = {name_of(path): path for path in modules(folder)}
    try:
        TopologicalSorter({name: imported_files(path, set(files)) for name, path in files.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_no_test_opens_a_window_in_its_own_process() -> None:
    """Python collects what is left of a window in any thread, and Tk ends the process where it is not its own."""
    drawing = {
        name_of(path)
        for path in modules("tests")
        if "tkinter" in {name.split(".")[0] for name in imports(path, for_types=False)}
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

    def test_of_an_operators_tool(self, sqlite_url: str, tmp_path: Path) -> None:
        """One that asks a MySQL server needs its driver and nothing else."""
        program = "from NexusCore import API; print(API.get_config()['default_version'])"
        assert imported_by(program, sqlite_url, tmp_path) == {"sqlite3"}


def imported_by(program: str, url: str, home: Path) -> set[str]:
    """Return which of the heavy packages a program has imported at its end."""
    ending = "\nimport sys; print('imported:', *{name.split('.')[0] for name in sys.modules})"
    printed = run(program + ending, main=url, home=home).splitlines()[-1]
    return HEAVY & set(printed.removeprefix("imported:").split())
