"""The configuration as one process uses it (003-15..27), on both databases."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable
from typing import Any

import pytest

from NexusCore.API import App
from NexusCore.config import NamedConfiguration
from NexusCore.config.history import Difference
from NexusCore.errors import (
    ConfigException,
    NexusError,
    NoSuchParameterException,
    NoSuchVersionException,
    ValueRefused,
    VersionAlreadyExistsException,
)
from tests.processes import eventually, rows


def stored(url: str) -> dict[str, str | None]:
    """Return the parameters of the version "default"."""
    sql = """SELECT p.path, p.value FROM config_parameter p JOIN config_version v ON v.id = p.version_id
              WHERE v.name = 'default'"""
    return dict(rows(url, sql))


class TestReading:
    """Values come by name from the view's folder; what isn't there is None or an error (003-20..23, 26)."""

    def test_values_are_read_by_absolute_and_relative_name(self, cfg: NamedConfiguration, app: App) -> None:
        """003-20, 003-21, 003-22, 003-26."""
        cfg["Instruments.Camera.exposure"] = 0.5
        camera = app.get_config("Instruments.Camera")
        assert camera["exposure"] == 0.5
        assert camera.get("exposure").get_value() == 0.5
        assert camera.get("exposure").get_full_path() == "Instruments.Camera.exposure"
        assert camera["gain"] is None
        with pytest.raises(NoSuchParameterException, match=r"Did you mean 'Instruments\.Camera\.exposure'"):
            camera.get("exposur")

    def test_iterating_yields_the_keys(self, cfg: NamedConfiguration) -> None:
        cfg["A.b"], cfg["A.c.d"] = 1, 2
        assert list(cfg) == cfg.keys()

    def test_keys_are_parameters_and_folders(self, cfg: NamedConfiguration) -> None:
        """003-23."""
        cfg["A.b"], cfg["A.C.d"], cfg["A.C.e"] = 1, 2, 3
        assert cfg.keys("A") == ["C", "b"]
        assert cfg.keys("A.C") == ["d", "e"]
        assert cfg.keys("nowhere") == []
        assert {"A", "default_version"} <= set(cfg.keys())

    def test_reading_creates_nothing(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        before = stored(database_url)
        view = app.get_config("no.such.folder")
        assert (view["x"], view["x.y"], view.keys(), "z" in view) == (None, None, [], False)
        with pytest.raises(NoSuchParameterException):
            view.get("x.y")
        assert stored(database_url) == before
        assert "no" not in cfg

    def test_a_folder_is_a_parameter_of_its_own_kind(self, cfg: NamedConfiguration) -> None:
        cfg["A.b"] = 1
        folder = cfg.get("A")
        assert (folder.datatype, folder.value) == ("folder", None)
        assert [child.path for child in folder.children] == ["A.b"]

    def test_a_held_parameter_shows_what_is_now(self, cfg: NamedConfiguration) -> None:
        """003-08: a loop that reads again sees the new value; a copy stays as it was."""
        cfg["speed"] = 1
        parameter, copy = cfg.get("speed"), cfg["speed"]
        cfg["speed"] = 2
        assert (parameter.get_value(), copy) == (2, 1)
        cfg.remove("speed")
        assert parameter.get_value() is None
        cfg["speed"] = 3
        assert parameter.get_value() == 3

    def test_search_and_leaves(self, cfg: NamedConfiguration) -> None:
        cfg["A.Pixel_size"], cfg["A.B.pixels"], cfg["A.C.d"] = 1, 2, 3
        assert [one.path for one in cfg.search("PIXEL")] == ["A.B.pixels", "A.Pixel_size"]
        assert [one.path for one in cfg.get_leaves("A")] == ["A.B.pixels", "A.C.d", "A.Pixel_size"]


class TestChanging:
    """A change is checked, stored with its type, and seen here when `set` returns (003-15, 16, 27)."""

    @pytest.mark.parametrize("value", ["text", "0123", "", "ünïcödé \U0001f52c", -5, 2**70, 0.1, -1e-300, True, False])
    def test_a_value_comes_back_as_it_was(self, cfg: NamedConfiguration, other: App, value: object) -> None:
        cfg["x"] = value  # type: ignore[assignment]
        for found in (cfg["x"], other.get_config()["x"]):
            assert found == value
            assert type(found) is type(value)

    def test_require_demands_and_creates_nothing(self, cfg: NamedConfiguration) -> None:
        """003-16."""
        cfg["here"] = 1
        cfg.require(["here"])
        with pytest.raises(NoSuchParameterException, match="'shutter_speed'"):
            cfg.require(["here", "shutter_speed"])
        assert "shutter_speed" not in cfg

    def test_an_unknown_datatype_is_answered_with_the_known_ones(self, cfg: NamedConfiguration) -> None:
        with pytest.raises(ValueRefused, match="'int' does not exist; there are string, integer, double, bool"):
            cfg.set("n", 1, "int", create=True)

    def test_a_number_too_long_for_a_text_is_refused(self, cfg: NamedConfiguration) -> None:
        cfg["n"] = 1
        long: Any
        for long in (10**5000, "9" * 5000):
            with pytest.raises(ValueRefused, match="'n' cannot be set to a number of 5,000 digits: a whole"):
                cfg["n"] = long
        assert cfg["n"] == 1

    def test_the_type_stays(self, cfg: NamedConfiguration) -> None:
        """003-27, 003-31: an integer cannot become True, unless it is told to."""
        cfg["n"] = 1
        parameter = cfg.get("n")
        for refused in (True, "True", "1.5", 2.5, "", "x"):
            with pytest.raises(ValueRefused, match="it is an integer"):
                parameter.set_value(refused)
        parameter.set_value("-7")
        assert cfg["n"] == -7
        parameter.set_value(True, check=False)
        assert cfg["n"] is True
        parameter.set_value("5", datatype="integer")
        assert (cfg["n"], parameter.datatype) == (5, "integer")

    def test_without_commit_only_this_process_sees_it(self, cfg: NamedConfiguration, database_url: str) -> None:
        """003-27."""
        cfg["n"] = 1
        cfg.get("n").set_value(2, commit=False)
        assert cfg["n"] == 2
        assert stored(database_url)["n"] == "1"

    def test_values_outside_the_limits_are_refused(self, cfg: NamedConfiguration) -> None:
        cfg.set_default("percent", 50, minimum=0, maximum=100)
        cfg.set_default("mode", "TEM", choices=("TEM", "STEM"))
        for name, value, reason in (
            ("percent", 101, "at most 100"),
            ("percent", -1, "at least 0"),
            ("mode", "SEM", "TEM, STEM"),
        ):
            with pytest.raises(ValueRefused, match=reason):
                cfg[name] = value
        cfg["percent"], cfg["mode"] = 100, "STEM"

    @pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", " a", "a .b", "a" * 129, "a." * 300 + "a"])
    def test_a_name_that_is_no_path_is_refused(self, cfg: NamedConfiguration, name: str) -> None:
        with pytest.raises(ConfigException):
            cfg[name] = 1

    @pytest.mark.parametrize(("name", "value"), [("half\udc80", 1), ("x", "half\udc80")])
    def test_half_a_character_is_refused_with_a_sentence(
        self, cfg: NamedConfiguration, name: str, value: object
    ) -> None:
        """As in a file name of unknown encoding; no database takes it."""
        with pytest.raises(NexusError, match=r"not valid Unicode|contains U\+DC80"):
            cfg[name] = value  # type: ignore[assignment]

    def test_a_long_value(self, cfg: NamedConfiguration, other: App) -> None:
        cfg["long"] = "ä" * 32_768
        assert other.get_config()["long"] == "ä" * 32_768

    def test_values_that_no_parameter_holds(self, cfg: NamedConfiguration) -> None:
        for value in ([1], {"a": 1}, b"bytes", object(), float("nan"), float("inf")):
            with pytest.raises(ValueRefused):
                cfg["x"] = value  # type: ignore[assignment]
        assert "x" not in cfg

    def test_nothing_is_written_when_nothing_changes(self, cfg: NamedConfiguration) -> None:
        cfg["n"] = 1
        revision = cfg.get("n").revision
        cfg["n"] = 1
        assert cfg.get("n").revision == revision

    def test_removing_a_folder_takes_all_below_it(self, cfg: NamedConfiguration, other: App) -> None:
        seen = other.get_config()
        cfg["A.b"], cfg["A.C.d"], cfg["AB"] = 1, 2, 3
        cfg.remove("A")
        assert "A" not in cfg
        assert cfg["AB"] == 3
        eventually(lambda: "A" not in seen and "A.C.d" not in seen and seen["AB"] == 3)
        with pytest.raises(NoSuchParameterException):
            cfg.remove("A")

    @pytest.mark.parametrize("root", [None, "A"])
    def test_nothing_is_changed_without_a_name(self, cfg: NamedConfiguration, app: App, root: str | None) -> None:
        """An empty name, or None, does not stand for everything in the view."""
        cfg["A.b"] = 1
        view: Any = app.get_config(root)
        for name in ("", None):
            for refused in (
                lambda name=name: view.remove(name),
                lambda name=name: view.set(name, 2, create=True),
                lambda name=name: view.__setitem__(name, 2),
                lambda name=name: view.add(name, 2),
                lambda name=name: view.set_default(name, 2),
                lambda name=name: view.together().__setitem__(name, 2),
                lambda name=name: view.together().remove(name),
            ):
                with pytest.raises(ConfigException, match="a name is text such as"):
                    refused()
        assert cfg["A.b"] == 1
        assert cfg.get("A").datatype == "folder"

    def test_a_group_is_all_or_nothing(self, cfg: NamedConfiguration) -> None:
        cfg["x"] = 1
        with pytest.raises(ValueRefused), cfg.together() as group:
            group["y"] = 2
            group["x"] = "text"
        assert "y" not in cfg
        with cfg.together("for the test") as group:
            group["y"] = 2
            group["x"] = 3
        assert (cfg["x"], cfg["y"]) == (3, 2)
        assert cfg.history("x")[0].why == "for the test"

    def test_compare_and_set(self, cfg: NamedConfiguration, other: App) -> None:
        cfg.set("x", 1, if_revision=0)
        revision = cfg.get("x").revision
        other.get_config()["x"] = 2
        with pytest.raises(ValueRefused, match="changed meanwhile"):
            cfg.set("x", 3, if_revision=revision)
        with pytest.raises(ValueRefused, match="changed meanwhile"):
            cfg.set("x", 3, if_revision=0)
        eventually(lambda: cfg["x"] == 2)
        cfg.set("x", 3, if_revision=cfg.get("x").revision)
        assert cfg["x"] == 3


class TestHistory:
    """Every change ever is kept, with who made it, where, with what and why."""

    def test_who_where_what_why(self, cfg: NamedConfiguration) -> None:
        cfg["x"] = 1
        cfg.set("x", 2, why="the beam was unstable")
        cfg.remove("x")
        removed, second, first = cfg.history("x")
        assert [one.action for one in (first, second, removed)] == ["set", "set", "remove"]
        assert (first.old_value, first.new_value) == (None, "1")
        assert (second.old_value, second.new_value, second.why) == ("1", "2", "the beam was unstable")
        assert (removed.old_value, removed.new_value) == ("2", None)
        for entry in (first, second, removed):
            assert (entry.who, entry.host, entry.tool) == (getpass.getuser(), socket.gethostname(), "test")
        assert first.revision + 2 == second.revision + 1 == removed.revision

    def test_the_way_back(self, cfg: NamedConfiguration) -> None:
        cfg["A.kept"], cfg["A.changed"], cfg["A.removed"] = 1, 2, 3
        then = cfg.get("A.removed").revision
        cfg.set("A.changed", "text", check=False)
        cfg["A.added"] = 5
        cfg.remove("A.removed")
        assert cfg.rollback(then) == 3
        assert {leaf.name: leaf.value for leaf in cfg.get_leaves("A")} == {"changed": 2, "kept": 1, "removed": 3}
        assert cfg.diff(then) == []

    def test_the_way_back_of_what_was_never(self, cfg: NamedConfiguration) -> None:
        """One sentence, and nothing changes."""
        cfg["x"] = 1
        newest = cfg.get("x").revision
        for wrong in (-1, 0, newest + 1, 99_999_999, "3", None, 1.0, True):
            with pytest.raises(
                ConfigException, match=f"revision {wrong!r} does not exist; revisions go from 1 to {newest}"
            ):
                cfg.rollback(wrong)  # type: ignore[arg-type]
        assert cfg["x"] == 1
        assert len(cfg.history("x")) == 1

    def test_differences_between_revisions(self, cfg: NamedConfiguration) -> None:
        cfg["x"] = 1
        then = cfg.get("x").revision
        cfg["x"], cfg["y"] = 2, 3
        assert [(one.path, one.old, one.new) for one in cfg.diff(then)] == [("x", 1, 2), ("y", None, 3)]
        assert [(one.path, one.old, one.new) for one in cfg.diff(then, then + 1)] == [("x", 1, 2)]
        assert [(one.path, one.old, one.new) for one in cfg.diff(then + 1, then)] == [("x", 2, 1)]
        assert ("x", None, 1) in [(one.path, one.old, one.new) for one in cfg.diff(0, then)]
        for wrong in (-1, then + 3, 99_999_999, None, 1.5, True):
            for asked in ((wrong,), (then, wrong)) if wrong is not None else ((wrong,),):
                with pytest.raises(ConfigException, match="does not exist; revisions go from"):
                    cfg.diff(*asked)


class TestVersions:
    """There are several versions; "default" always exists (003-18, 19, 24, 25)."""

    def test_the_default_one(self, cfg: NamedConfiguration, app: App) -> None:
        """003-18: it names itself, until another is named."""
        assert (cfg.version, cfg["default_version"]) == ("default", "default")
        cfg.copy_configuration("default", "night")
        cfg["default_version"] = "night"
        assert app.get_config().version == "night"
        assert app.get_config(version="default").version == "default"
        with pytest.raises(ConfigException):
            cfg.delete_version("default")

    def test_they_are_separate(self, cfg: NamedConfiguration, app: App) -> None:
        """003-24."""
        cfg["x"] = 1
        night = app.get_config("", "night")
        night["x"] = 2
        assert (cfg["x"], night["x"]) == (1, 2)
        assert cfg.list_versions() == ["default", "night"]
        with pytest.raises(VersionAlreadyExistsException):
            cfg.add_version("night")

    def test_copying_is_refused_where_something_is(self, cfg: NamedConfiguration, app: App, database_url: str) -> None:
        """003-25: and then nothing is copied."""
        cfg["a"], cfg["b"], cfg["c"] = 1, 2, 3
        night = app.get_config("", "night")
        night["b"] = "kept"
        changes = rows(database_url, "SELECT COUNT(*) FROM config_change")
        with pytest.raises(ConfigException, match="'b'"):
            cfg.copy_configuration("default", "night")
        assert night.keys() == ["b"]
        assert night["b"] == "kept"
        assert rows(database_url, "SELECT COUNT(*) FROM config_change") == changes
        with pytest.raises(NoSuchVersionException):
            cfg.copy_configuration("nowhere", "new")
        assert "new" not in cfg.list_versions()

    def test_overwriting_copies_values_comments_and_limits(self, cfg: NamedConfiguration, app: App) -> None:
        """003-25: values, types, comments and limits become those of the source."""
        cfg.set("a", 1, comment="the source's", create=True)
        cfg["b"] = 2.5
        cfg.set_default("c", 3, minimum=0)
        night = app.get_config("", "night")
        night.set("b", "text", comment="the target's", create=True)
        night["own"] = True
        cfg.copy_configuration("default", "night", overwrite=True)
        assert (night["a"], night["b"], night["c"], night["own"]) == (1, 2.5, 3, True)
        assert night.get("a").comment == "the source's"
        assert not night.get("b").comment
        with pytest.raises(ValueRefused):
            night["c"] = -1
        assert [one for one in cfg.compare("night") if one.path != "own"] == []

    def test_differences_between_versions(self, cfg: NamedConfiguration, app: App) -> None:
        """By their names, in either order; a name alone is this version against that."""
        cfg["a"], cfg["same"], cfg["own"] = 1, 1, 1
        then = cfg.get("own").revision
        night, view = app.get_config("", "night"), app.get_config("sub", "night")
        night["a"], night["same"], night["sub.x"] = 2, 1, 3

        def reported(found: list[Difference]) -> list[tuple[str, object, object]]:
            return [(one.path, one.old, one.new) for one in found if one.path != "default_version"]

        there = [("a", 1, 2), ("own", 1, None), ("sub.x", None, 3)]
        assert (
            reported(cfg.diff("night"))
            == reported(cfg.compare("night"))
            == reported(cfg.diff("default", "night"))
            == there
        )
        back = [(path, new, old) for path, old, new in there]
        assert reported(night.diff("default")) == reported(cfg.diff("night", "default")) == back
        assert reported(view.diff("default")) == [("sub.x", 3, None)]
        cfg["a"] = 5
        assert reported(cfg.diff(then, "night")) == there
        for wrong in (("nowhere",), ("default", "nowhere"), ("3",)):
            with pytest.raises(NoSuchVersionException):
                cfg.diff(*wrong)

    def test_a_deleted_one_is_gone(self, cfg: NamedConfiguration, app: App, other: App) -> None:
        night = app.get_config("", "night")
        night["x"] = 1
        held = night.get("x")
        elsewhere = other.get_config("", "night")
        cfg.delete_version("night")
        assert cfg.list_versions() == ["default"]
        eventually(lambda: elsewhere["x"] is None)
        changes: list[Callable[[], None]] = [
            lambda: night.set("x", 2),
            lambda: held.set_value(2),
            lambda: held.set_comment("c"),
            lambda: elsewhere.set("x", 2),
        ]
        for change in changes:
            with pytest.raises(NoSuchVersionException, match="'night'"):
                change()


class TestEveryRefusalIsOneSentence:
    """What is refused says why, in one sentence (the class's own), and changes nothing."""

    def test_each_refusal_ends_as_a_sentence(self, cfg: NamedConfiguration) -> None:
        cfg["n"] = 1
        for refused in (
            lambda: cfg.set("n", "x"),
            lambda: cfg.set("n", 1, datatype="complex"),
            lambda: cfg.add("n", 2),
            lambda: cfg.get("m"),
            lambda: cfg.remove("m"),
            lambda: cfg.add_version("default"),
            lambda: cfg.add_version(" "),
            lambda: cfg.delete_version("default"),
            lambda: cfg.delete_version("nowhere"),
            lambda: cfg.deserialize("{"),
            lambda: cfg.deserialize('{"a": [1]}'),
            lambda: cfg.set("n", 10**400, datatype="double"),
            lambda: cfg.set_default("p", "x", pattern="["),
            lambda: cfg.set_default("p", "x", colour="red"),
            lambda: cfg.deserialize('{"a": {"datatype": "integer", "value": 1, "minimum": "x"}}'),
            lambda: cfg.deserialize('{"a": {"datatype": "string", "value": "x", "choices": 5}}'),
        ):
            with pytest.raises(NexusError) as caught:
                refused()
            assert str(caught.value).strip().endswith((".", "?"))
        assert cfg["n"] == 1
