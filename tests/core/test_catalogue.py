"""What programs declare of the configuration: all of it is known before it is used, and nothing else passes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore import plugins
from NexusCore.API import App
from NexusCore.config.catalogue import catalogue
from NexusCore.config.store import ConfigStore
from NexusCore.config.values import Limits
from NexusCore.declare import declare, main
from NexusCore.errors import ValueRefused
from NexusCore.storage import migrate
from Services.Intake.rules.shipped import SHIPPED
from tests.processes import LIMIT, PROJECT, app_on, environment_of, rows

SERVICES = ("Builder", "Gateway", "Harvester", "Intake", "Uploader")


class TestTheCatalogue:
    """Each room declares what it reads, once; services and tools read the same declarations."""

    def test_every_service_declares(self) -> None:
        rooms = {module.__name__ for module in plugins.declarations()}
        assert rooms == {f"Services.{name}.declarations" for name in SERVICES} | {"NexusCore.facility.declarations"}
        for name in SERVICES:
            assert catalogue().find(f"Services.{name}.interval") is not None

    def test_everything_has_a_comment_and_a_default_that_fits(self) -> None:
        for item in catalogue():
            assert item.comment, item.path
            item.limits.check(item.path, item.default)

    def test_each_source_and_destination_is_a_choice(self) -> None:
        destinations, harvester = (
            catalogue().find(path) for path in ("Services.Uploader.destinations", "Instruments.Titan.harvester")
        )
        assert destinations is not None and destinations.limits.choices == plugins.names(plugins.DESTINATIONS)
        assert harvester is not None and harvester.limits.choices == ("", *plugins.names(plugins.SOURCES))

    @pytest.mark.parametrize("kind", plugins.names(plugins.DESTINATIONS))
    def test_a_token_that_is_damaged_changes_nothing(self, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        """The service that needs it says so; no tool and no other service may fail for it."""
        monkeypatch.setenv(f"NEXUSCORE_{kind.upper()}_TOKEN", "ab\ncd")
        assert list(catalogue.__wrapped__()) == list(catalogue())

    def test_a_shipped_rule_keeps_its_own_defaults(self) -> None:
        """What is declared first counts, as in the configuration itself."""
        for rule in SHIPPED:
            names = catalogue().find(f"Services.Intake.rules.{rule.name}.names")
            assert names is not None and names.default == rule.names

    def test_a_name_that_nothing_reads_is_told_from_one_that_may_be(self) -> None:
        known = catalogue()
        assert "'Services.Builder'" in str(known.mistake("Services.Biulder.interval"))
        assert "'Instruments.Titan.timezone'" in str(known.mistake("Instruments.Titan.timezon"))
        assert known.mistake("Instruments.Titan.vendor_contract") is None, "what a facility notes itself"
        assert known.mistake("Services.OurOwn.interval") is None
        assert known.mistake("Camera.gain") is None


_PATH = re.compile(r"(Services|Instruments|Log|Facility|Logger)(\.[A-Za-z_]\w*){1,4}\.[a-z_]+")


def paths_in(file: Path) -> Iterator[str]:
    """Yield the paths of parameters in a module; what a program puts into them is X."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        if isinstance(text, str) and _PATH.fullmatch(text) and "X" not in text.split(".")[-1]:
            yield text


def test_every_path_in_the_code_is_declared() -> None:
    """One that is only read would be refused by ConfigTool, and its mistakes would not be found."""
    known = catalogue()
    found = {
        path
        for folder in ("NexusCore", "Services", "Tools", "Logger")
        for file in (PROJECT / folder).rglob("*.py")
        for path in paths_in(file)
        if not (PROJECT / path.replace(".", "/")).exists() and not (PROJECT / f"{path.replace('.', '/')}.py").exists()
    }
    ends = [(item.path.replace("*", "X"), item.path.count(".")) for item in known]
    folders = {path.rsplit(".", count)[0] for path, depth in ends for count in range(1, depth + 1)}
    unknown = {path for path in found - folders if known.find(path) is None and "X.token" not in path}
    assert len(found) > 10
    assert unknown == set()


class TestDeclaring:
    """After set-up every parameter is there; what people have set stays, and what fits no more is not lost."""

    @pytest.fixture
    def app(self, sqlite_url: str, tmp_path: Path):
        app = app_on(sqlite_url, tmp_path)
        yield app
        app.shutdown(LIMIT)

    def test_migrate_declares_all(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", f"sqlite:///{tmp_path}/new.db")
        assert migrate.main([]) == 0
        app = app_on(f"sqlite:///{tmp_path}/new.db", tmp_path)
        try:
            config = app.get_config()
            for item in catalogue().stored:
                node = config.get(item.path)
                assert (node.value, node.datatype, node.limits) == (item.default, item.datatype, item.limits)
                assert node.comment == item.comment
        finally:
            app.shutdown(LIMIT)

    def test_it_is_done_once(self, app: App) -> None:
        config = app.get_config()
        assert declare(config) == len(list(catalogue().stored))
        assert declare(config) == 0

    def test_the_command_says_what_it_did(
        self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("NEXUSCORE_DATABASE", sqlite_url)
        assert main([]) == 0
        assert "parameters were declared" in capsys.readouterr().out
        assert main([]) == 0
        assert capsys.readouterr().out == "All parameters are declared.\n"

    def test_the_program_in_install_does_the_same(self, sqlite_url: str, tmp_path: Path) -> None:
        """Facilities' own set-up calls it by its path, from any folder."""
        done = subprocess.run(
            [sys.executable, PROJECT / "Install/set_defaults.py"], cwd=tmp_path, check=False,
            env=environment_of(sqlite_url, tmp_path), capture_output=True, text=True, timeout=LIMIT,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        declared = {item.path for item in catalogue().stored}
        assert declared <= {path for (path,) in rows(sqlite_url, "SELECT path FROM config_parameter")}

    def test_what_was_set_before_keeps_its_value_and_gets_type_and_limits(self, app: App) -> None:
        config = app.get_config()
        config["Services.Builder.workers"] = "7"
        config["Services.Builder.lease"] = "lots"
        config["Instruments.Titan.harvester"] = "nmeo"
        config.set("Services.Uploader.cdcs.workspace", "ours", create=True, comment="where we put them")
        declare(config)
        workers, lease = (config.get(f"Services.Builder.{name}") for name in ("workers", "lease"))
        assert (workers.value, workers.datatype, workers.limits) == (7, "integer", Limits(minimum=1, maximum=64))
        assert (lease.value, lease.datatype) == ("lots", "string"), "a value that does not fit is not lost"
        assert config["Instruments.Titan.harvester"] == "nmeo"
        assert config.get("Services.Uploader.cdcs.workspace").comment == "where we put them"
        with pytest.raises(ValueRefused, match="did you mean 'nemo'"):
            config["Instruments.Titan.harvester"] = "nemoo"

    def test_a_parameter_where_a_folder_belongs_holds_up_nothing_else(self, app: App) -> None:
        config = app.get_config()
        config["Services.Harvester"] = "on"
        declare(config)
        assert config["Services.Uploader.time_limit"] == 600.0
        assert config["Services.Harvester"] == "on"


class TestForms:
    """A text that must look like something is refused with a sentence that says what."""

    @pytest.mark.parametrize(
        ("form", "good", "bad", "reason"),
        [
            ("url", "https://a.example:8443/x?y=1", "htp://a.example", "https://"),
            ("url", "http://[::1]/", "https://", "without a valid host"),
            ("url", "", "https://a.example:99999", "is not a URL"),
            ("path", "/srv/records", "records", "absolute"),
            ("path", "~/records", "./records", "absolute"),
            ("location", "file:///srv/a.ics", "calendars/a.ics", "absolute"),
            ("location", "/srv/a.ics", "file://a.ics", "file:///path"),
            ("zone", "Europe/Oslo", "Europe/Olso", "did you mean 'Europe/Oslo'"),
            ("zone", "UTC", "../etc/passwd", "time zone"),
            ("ip", "::1", "localhost", "IP address"),
            ("networks", "10.0.0.0/8, 192.168.1.1", "10.0.0.0/99", "network"),
            ("pc_path", "D:/Data", "Data", "on the PC"),
            ("moment", "2026-12-01T08:00", "tomorrow", "2026-12-01T08:00"),
        ],
    )
    def test_what_has_the_form_passes(self, form: str, good: str, bad: str, reason: str) -> None:
        limits = Limits(form=form)
        limits.check("a.b", good)
        with pytest.raises(ValueRefused, match=reason):
            limits.check("a.b", bad)

    def test_limits_keep_it_when_they_are_stored(self) -> None:
        limits = Limits(choices=("a", "b"), many=True, form="path")
        assert Limits.from_json(limits.to_json()) == limits

    def test_several_choices(self) -> None:
        limits = Limits(choices=("cdcs", "directory"), many=True)
        limits.check("a.b", " directory,cdcs , ")
        with pytest.raises(ValueRefused, match="'directry' is not one of cdcs, directory"):
            limits.check("a.b", "cdcs, directry")


def test_the_history_says_that_set_up_did_it(sqlite_url: str, tmp_path: Path) -> None:
    app = app_on(sqlite_url, tmp_path)
    try:
        declare(app.get_config())
        store: ConfigStore = app.live.store
        assert [entry.why for entry in store.entries_since(0)][-1] == "declared"
    finally:
        app.shutdown(LIMIT)
