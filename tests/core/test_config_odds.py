"""Less usual ways to change and read the configuration (003-15..27), on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from NexusCore.API import App
from NexusCore.config import ConfigException, NamedConfiguration, NoSuchParameterException, ValueRefused
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.values import Limits
from tests.clocks import START, HandClock
from tests.processes import LIMIT, app_on, eventually, rows


@pytest.fixture
def cfg(app: App) -> NamedConfiguration:
    return app.get_config("View")


class TestWithoutCommit:
    """003-27: with ``commit=False`` only this process sees a value, until someone stores one."""

    def test_type_and_limits_hold(self, cfg: NamedConfiguration) -> None:
        cfg.set_default("percent", 50, maximum=100)
        parameter = cfg.get("percent")
        for refused in ("text", 1.5, True, 101):
            with pytest.raises(ValueRefused):
                parameter.set_value(refused, commit=False)
        parameter.set_value("60", commit=False)
        assert (cfg["percent"], parameter.datatype) == (60, "integer")
        parameter.set_value(0.5, datatype="double", commit=False)
        assert (cfg["percent"], parameter.datatype) == (0.5, "double")
        parameter.set_value("much", check=False, commit=False)
        assert (cfg["percent"], parameter.datatype) == ("much", "string")

    def test_storing_the_value_that_is_stored(self, cfg: NamedConfiguration) -> None:
        """It changes nothing in the database, but here."""
        cfg["x"] = 1
        cfg.get("x").set_value(2, commit=False)
        cfg["x"] = 1
        assert cfg["x"] == 1
        cfg.get("x").set_value(3, commit=False)
        with cfg.together() as group:
            group["x"], group["y"] = 1, 2
        assert cfg["x"] == 1

    def test_a_change_by_another_process(self, cfg: NamedConfiguration, other: App) -> None:
        cfg["x"] = 1
        cfg.get("x").set_value(2, commit=False)
        other.get_config("View")["x"] = 3
        eventually(lambda: cfg["x"] == 3)

    def test_a_refused_change_leaves_it(self, cfg: NamedConfiguration) -> None:
        cfg["x"] = 1
        cfg.get("x").set_value(2, commit=False)
        with pytest.raises(ValueRefused):
            cfg["x"] = "text"
        assert cfg["x"] == 2


class TestAdding:
    """`add` makes what is not there, and nothing else."""

    def test_a_parameter_and_a_folder(self, cfg: NamedConfiguration, other: App) -> None:
        cfg.add("n", 5, comment="How many.")
        cfg.add("empty", datatype="folder", comment="Nothing yet.")
        cfg.add("typed", "7", datatype="integer")
        for view in (cfg, other.get_config("View")):
            assert (view["n"], view["typed"], view.get("n").comment) == (5, 7, "How many.")
            assert (view.get("empty").datatype, view.keys("empty")) == ("folder", [])
        for name in ("n", "empty"):
            with pytest.raises(ConfigException, match="already exists"):
                cfg.add(name, 6)

    def test_two_processes_at_once(self, cfg: NamedConfiguration, other: App) -> None:
        """The second does not know of the first yet, and does not overwrite it."""
        late = other.get_config("View")
        other.live._stop.set()  # its watcher sees nothing any more
        cfg.add("n", "first")
        with pytest.raises(ConfigException):
            late.add("n", "second")
        assert cfg["n"] == "first"


class TestLimits:
    """Limits are given where a parameter is added, set or declared; those that are not given stay."""

    def test_with_the_parameter(self, cfg: NamedConfiguration, other: App) -> None:
        cfg.add("gain", 5, comment="In dB.", minimum=0, maximum=10)
        with pytest.raises(ValueRefused, match="at most 10"):
            cfg["gain"] = 11
        with pytest.raises(ValueRefused, match="at least 6"):
            cfg.set("gain", 5, minimum=6)
        cfg.set("gain", 11, maximum=20)
        assert other.get_config("View").get("gain").limits == Limits(minimum=0, maximum=20)
        cfg.set("gain", 50, maximum=None)
        assert (cfg["gain"], cfg.get("gain").limits, cfg.get("gain").comment) == (50, Limits(minimum=0), "In dB.")
        cfg.set("mode", "TEM", choices=["TEM", "STEM"], create=True)
        with pytest.raises(ValueRefused, match="one of TEM, STEM"):
            cfg["mode"] = "SEM"
        cfg["mode"] = "STEM"

    @pytest.mark.parametrize("limit", [{"choices": []}, {"choices": ()}, {"minimum": "1"}, {"colour": 1}])
    def test_one_that_is_none(self, cfg: NamedConfiguration, limit: dict[str, Any]) -> None:
        for wrong in (cfg.set, cfg.add, cfg.set_default):
            with pytest.raises(ConfigException, match=f"cannot have the limit {next(iter(limit))}"):
                wrong("x", 1, **limit)
        assert "x" not in cfg
        cfg.set_default("x", 1, choices=None, minimum=None)
        assert cfg.get("x").limits == Limits()


class TestOddValues:
    """What cannot be kept as it is is refused with a sentence, also by a parameter that exists."""

    @pytest.mark.parametrize("value", [[1], {"a": 1}, b"bytes", Path("/tmp"), complex(1, 2), object()])
    @pytest.mark.parametrize("held", ["text", 5, 0.5, True])
    def test_no_type_at_all(self, cfg: NamedConfiguration, held: Any, value: Any) -> None:
        cfg["x"] = held
        with pytest.raises(ValueRefused, match="cannot be set to"):
            cfg["x"] = value
        assert cfg["x"] == held

    @pytest.mark.parametrize("value", [2**53 + 1, "1_000.5", "0x10", "", "1,5"])
    def test_no_real_number(self, cfg: NamedConfiguration, value: Any) -> None:
        cfg["x"] = 0.5
        with pytest.raises(ValueRefused, match="it is a number"):
            cfg["x"] = value

    def test_a_path_that_no_file_can_have(self, cfg: NamedConfiguration, tmp_path: Path) -> None:
        cfg.set_default("folder", str(tmp_path), path_exists=True)
        for value in (str(tmp_path / "missing"), "x" * 5000, "nul\0", ""):
            with pytest.raises(ValueRefused, match="does not exist on this machine"):
                cfg["folder"] = value
        assert cfg["folder"] == str(tmp_path)

    @pytest.mark.parametrize(
        "value", ["a\0b", "\U0001f52c" * 1000, "line\nbreak\r\n", "it's 100 % \\ \"", " spaces ", "x" * 65_536]
    )
    def test_text_of_any_kind(self, cfg: NamedConfiguration, other: App, value: str) -> None:
        cfg.set("x", value, comment=value[:50], create=True)
        view = other.get_config("View")
        assert (view["x"], view.get("x").comment) == (value, value[:50])
        assert cfg.history("x")[0].new_value == value


class TestTimes:
    """`last_modified` and `last_updated` are aware times; order is that of revisions, whatever the clock says."""

    def test_they_follow_the_changes(self, database_url: str, tmp_path: Path, clock: HandClock) -> None:
        app = app_on(database_url, tmp_path / "home", clock)
        cfg = app.get_config("View")
        assert cfg.last_updated() is None
        cfg["a"] = 1
        clock.advance(60)
        cfg["b.c"] = 1
        clock.set_back(3600)
        cfg["a"] = 2
        begin = datetime.fromtimestamp(START / 1e6, tz=UTC)
        assert (cfg.get("a").last_modified - begin).total_seconds() == 60 - 3600  # type: ignore[operator]
        assert cfg.last_updated() == cfg.get("b.c").last_modified
        assert [entry.new_value for entry in cfg.history("a")] == ["2", "1"]
        other = app_on(database_url, tmp_path / "other", clock)
        assert other.get_config("View")["a"] == 2
        for one in (app, other):
            one.shutdown(LIMIT)


class TestSubtrees:
    """Whole folders are removed, cleared, carried over and brought back."""

    @pytest.fixture
    def grown(self, cfg: NamedConfiguration) -> NamedConfiguration:
        cfg["a.b.c"], cfg["a.b.d"], cfg["a.e"], cfg["f"] = 1, 2, 3, 4
        return cfg

    def test_the_root_of_a_view(self, grown: NamedConfiguration, app: App) -> None:
        root = grown.get()
        assert (root.path, root.datatype, [one.name for one in root.children]) == ("View", "folder", ["a", "f"])
        everything = app.get_config().get()
        assert (everything.path, everything.name) == ("", "")
        assert "View" in [one.name for one in everything.children]
        nothing = app.get_config("no.such.folder")
        assert (nothing.get().path, nothing.get().children) == ("no.such.folder", [])

    def test_leaves_by_name(self, grown: NamedConfiguration) -> None:
        """They are parameters, and tell by name, as seen from the folder, which are there."""
        leaves: Container[object] = grown.get_leaves()
        assert [one.path for one in grown.get_leaves()] == ["View.a.b.c", "View.a.b.d", "View.a.e", "View.f"]
        assert [name in leaves for name in ("a.b.c", "f", "a", "c", "View.f")] == [True, True, False, False, False]
        assert grown.get("f") in leaves
        shallow: Container[object] = grown.get_leaves(recursive=False)
        assert [name in shallow for name in ("a", "f", "a.e")] == [True, True, False]
        inner: Container[object] = grown.get_leaves("a", recursive=False)
        assert [name in inner for name in ("e", "b", "a.e", "a")] == [True, True, False, False]

    def test_the_comment_of_a_folder(self, grown: NamedConfiguration, app: App, other: App) -> None:
        """One that only its contents make can say what it is for, too."""
        seen: list[tuple[str, str | None]] = []
        grown.add_callback("a", lambda parameter: seen.append((parameter.path, parameter.comment)))
        folder = grown.get("a")
        folder.set_comment("Alignment.")
        assert (folder.comment, folder.datatype, grown["a"], grown["a.e"]) == ("Alignment.", "folder", None, 3)
        assert other.get_config("View").get("a").comment == "Alignment."
        eventually(lambda: seen == [("View.a", "Alignment.")])
        folder.set_comment("Alignment of the column.")
        grown.get("a.b").set_comment("")
        assert [one.comment for one in grown.history("a")] == ["Alignment of the column.", "Alignment."]
        assert grown.history("a.b") == []
        grown.remove("a")
        assert grown.keys() == ["f"]
        with pytest.raises(NoSuchParameterException):
            folder.set_comment("Gone.")

    def test_what_others_did_meanwhile(self, grown: NamedConfiguration, app: App, other: App) -> None:
        """What goes is what is in the database by then, whatever this process has seen of it."""
        app.live.close()  # it sees no more of what others do
        theirs = other.get_config("View")
        theirs.remove("a.b.c")
        theirs["a.b.new"] = 1
        theirs["a.late.x"] = 2
        assert ("a.b.c" in grown, "a.b.new" in grown) == (True, False)
        grown.remove("a")
        for view in (grown, theirs):
            eventually(lambda view=view: view.keys() == ["f"])  # type: ignore[misc]
        theirs.remove("f")
        theirs["unseen"] = 1
        grown.remove("f")
        grown.remove("unseen")
        assert grown.keys() == []
        theirs["unseen.too"] = 1
        grown.clear_all()
        assert (grown.keys(), rows(other.database(), "SELECT COUNT(*) FROM config_parameter")) == ([], [(1,)])
        app.get_config("", "night")["x"] = 1
        app.get_config("", "night").clear_all()
        assert app.get_config("", "night").keys() == []
        with pytest.raises(NoSuchParameterException):
            grown.remove("unseen")

    def test_the_way_back_where_others_removed_something(self, grown: NamedConfiguration, app: App, other: App) -> None:
        then = grown.get("f").revision
        grown["a.later"], grown["g"] = 1, 2
        store, real = app.live.store, app.live.store.changed

        def slow(*arguments: Any) -> Any:
            store.changed = real  # type: ignore[method-assign]
            other.get_config("View").remove("g")
            return real(*arguments)

        store.changed = slow  # type: ignore[method-assign,assignment]
        assert grown.rollback(then) == 1
        assert grown.keys() == ["a", "f"]

    def test_clearing_a_folder_removes_nothing_else(self, grown: NamedConfiguration, app: App, other: App) -> None:
        app.get_config()["Other"] = 1
        seen = other.get_config("View")
        app.get_config("View.a").clear_all()
        assert (grown.keys(), app.get_config()["Other"]) == (["f"], 1)
        eventually(lambda: seen.keys() == ["f"])
        app.get_config("View.a").clear_all()
        assert [entry.why for entry in grown.history("a.b.c")] == ["cleared", None]

    def test_there_and_back(self, grown: NamedConfiguration, app: App) -> None:
        """003-33, 003-34: with types, comments and limits."""
        grown.set_default("a.limited", 5, comment="In percent.", minimum=0, maximum=100)
        grown.set_default("a.mode", "TEM", choices=["TEM", "STEM"], pattern="[A-Z]+")
        grown["a.text"], grown["a.real"], grown["a.flag"] = "0123", 1e-300, True
        text = grown.serialize("a")
        copy = app.get_config("Copy")
        assert copy.deserialize(text) == 8

        def content(view: NamedConfiguration) -> list[tuple[Any, ...]]:
            found = view.get_leaves("a")
            return [(one.name, one.value, one.datatype, one.comment, one.limits) for one in found]

        assert content(copy) == content(grown)
        assert copy.deserialize(text) == 0
        assert app.get_config("Copy.a").serialize() == text

    def test_without_overwrite_existing_values_stay(self, grown: NamedConfiguration) -> None:
        text = grown.serialize("a")
        grown["a.e"] = 30
        grown.remove("a.b")
        assert grown.deserialize(text, overwrite=False) == 2
        assert (grown["a.e"], grown["a.b.c"]) == (30, 1)

    def test_all_or_nothing(self, grown: NamedConfiguration) -> None:
        with pytest.raises(ConfigException):
            grown.deserialize('{"a": {"new": 1}, "f": {"datatype": "integer", "value": "text"}}')
        with pytest.raises(ValueRefused):
            grown.deserialize('{"new": 1, "f": {"g": 1}}')
        assert ("a.new" in grown, "new" in grown) == (False, False)

    def test_what_a_subtree_was(self, grown: NamedConfiguration, app: App) -> None:
        app.get_config()["Other"] = 1
        then = app.get_config().get("Other").revision
        grown.set("a.e", "changed", check=False)
        grown.remove("a.b")
        app.get_config()["Other"] = 2
        changed = {(one.path, one.old, one.new) for one in grown.diff(then)}
        assert changed == {("View.a.e", 3, "changed"), ("View.a.b.c", 1, None), ("View.a.b.d", 2, None)}
        assert grown.diff(then, then) == []
        assert grown.rollback(then, why="it was better") == 3
        assert (grown["a.e"], grown["a.b.d"], app.get_config()["Other"]) == (3, 2, 2)
        assert grown.history("a.e")[0].why == "it was better"
        assert grown.rollback(then) == 0


class TestCallbacks:
    """003-17: on any change, the comment's included; by name, by several names, by folder, by the absolute root."""

    @pytest.mark.parametrize("names", ["a.b", ["x", "a.b"], "a", "", ("a",), {"a.b"}])
    def test_every_form_of_name_gets_each_change_once(self, app: App, names: Any) -> None:
        cfg = app.get_config()
        seen: list[tuple[str, Any, Any]] = []

        def note(parameter: ConfigParameter) -> None:
            seen.append((parameter.path, parameter.value, parameter.comment))

        cfg.add_callback(names, note)
        cfg["a.b"] = 1
        cfg.get("a.b").set_comment("changed")
        cfg.set("a.b", 1, comment="changed")
        cfg["ab"] = 1 if names else cfg["ab"]
        cfg.remove("a.b")
        expected: list[Any] = [("a.b", 1, None), ("a.b", 1, "changed"), ("a.b", None, None)]
        if not names:
            expected.insert(2, ("ab", None, None))
        eventually(lambda: len(seen) >= len(expected))
        assert seen == expected
        cfg.del_callback(names, note)
        cfg["a.b"], cfg["last"] = 2, 1
        done: list[object] = []
        cfg.add_callback("done", done.append)
        cfg["done"] = 1
        eventually(lambda: done)
        assert seen == expected

    def test_a_removal_by_another_process(self, app: App, other: App) -> None:
        cfg, seen = app.get_config(), []
        cfg["a.b"], cfg["a.c"] = 1, 2
        cfg.add_callback("a", lambda parameter: seen.append((parameter.path, parameter.value, parameter.revision)))
        other.get_config().remove("a")
        eventually(lambda: len(seen) == 2)
        assert seen == [("a.b", None, 0), ("a.c", None, 0)]
        assert "a" not in cfg


class TestSentences:
    """Bad input gets one clear sentence."""

    @pytest.mark.parametrize(
        "place", [("M.deep.",), (".M",), ("M..x",), (" M",), (5,), ("M", 5), ("M", ""), ("M", " x")]
    )
    def test_a_view_of_no_place(self, app: App, place: tuple[Any, ...]) -> None:
        versions = app.get_config().list_versions()
        with pytest.raises(ConfigException, match=r"is not a valid (path|name)|cannot be named"):
            app.get_config(*place)
        assert app.get_config().list_versions() == versions

    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            (lambda cfg: cfg.get("nothing"), NoSuchParameterException),
            (lambda cfg: cfg.remove("nothing"), NoSuchParameterException),
            (lambda cfg: cfg.require(["nothing"]), NoSuchParameterException),
            (lambda cfg: cfg.copy_configuration("default", " "), ConfigException),
            (lambda cfg: cfg.copy_configuration("default", "n" * 129), ConfigException),
            (lambda cfg: cfg.deserialize("[]"), ConfigException),
            (
                lambda cfg: cfg.deserialize('{"a": {"datatype": "integer", "value": 1, "minimum": "x"}}'),
                ConfigException,
            ),
            (lambda cfg: cfg.deserialize('{"a..b": 1}'), ConfigException),
            (lambda cfg: cfg.deserialize('{"a": NaN}'), ConfigException),
            (lambda cfg: cfg.set("x", 1, datatype="folder"), ConfigException),
        ],
    )
    def test_each_mistake_gets_a_one_line_error(
        self, cfg: NamedConfiguration, wrong: Callable[[NamedConfiguration], object], error: type[Exception]
    ) -> None:
        with pytest.raises(error) as caught:
            wrong(cfg)
        assert "\n" not in str(caught.value)


class TestWhatIsNoText:
    """A name, a comment or a reason that is not text gets a sentence, too."""

    USES: ClassVar[list[Callable[[NamedConfiguration, Any], object]]] = [
        lambda cfg, name: cfg[name],
        lambda cfg, name: cfg.__setitem__(name, 1),
        lambda cfg, name: name in cfg,
        lambda cfg, name: cfg.get(name),
        lambda cfg, name: cfg.set(name, 1),
        lambda cfg, name: cfg.add(name, 1),
        lambda cfg, name: cfg.set_default(name, 1),
        lambda cfg, name: cfg.remove(name),
        lambda cfg, name: cfg.require(name),
        lambda cfg, name: cfg.require([name]),
        lambda cfg, name: cfg.keys(name),
        lambda cfg, name: cfg.number(name),
        lambda cfg, name: cfg.add_callback(name, print),
        lambda cfg, name: cfg.together().__setitem__(name, 1),
        lambda cfg, name: cfg.together().remove(name),
    ]

    def test_a_name_that_is_not_text_is_refused(self, app: App) -> None:
        for place in ("", "M"):
            for name in (10, 0, b"x", 1.5):
                for use in self.USES:
                    with pytest.raises(ConfigException, match="is not the name of a parameter; a name is text such as"):
                        use(app.get_config(place), name)

    def test_a_comment_that_is_not_text_is_refused(self, cfg: NamedConfiguration) -> None:
        cfg.set_default("there", 1)
        changes: list[Callable[[Any], object]] = [
            lambda comment: cfg.set("there", 2, comment=comment),
            lambda comment: cfg.set_default("there", 2, comment=comment),
            lambda comment: cfg.get("there").set_comment(comment),
            lambda comment: cfg.set_default("new", 2, comment=comment),
            lambda comment: cfg.add("new", 2, comment=comment),
        ]
        for comment in (5, 0, b"", b"text", ["text"], object()):
            for change in changes:
                with pytest.raises(ConfigException, match=r"the comment of '.*' must be text, but is of the type "):
                    change(comment)
        assert (cfg["there"], cfg.get("there").comment, "new" in cfg) == (1, None, False)

    def test_reasons_versions_and_searches_must_be_text(self, cfg: NamedConfiguration) -> None:
        cfg["x"] = 0
        other: Any = 5
        nothing: Any = None
        uses: list[Callable[[], object]] = [
            lambda: cfg.set("x", 1, why=other),
            lambda: cfg.add_version(other),
            lambda: cfg.add_version(nothing),
            lambda: cfg.search(other),
            lambda: cfg.deserialize(nothing),
        ]
        for use in uses:
            with pytest.raises(ConfigException, match=r"must be text, but is of the type (int|NoneType)"):
                use()


class TestThreads:
    """Threads share a view: each sees its own change when `set` returns, and a folder's contents at any time."""

    def test_eight_threads_each_see_their_own_changes(self, cfg: NamedConfiguration, app: App) -> None:
        faults: list[BaseException] = []
        called: list[tuple[str, Any]] = []
        cfg.add_callback("", lambda parameter: called.append((parameter.name, parameter.value)))

        def work(own: str) -> None:
            try:
                for number in range(25):
                    cfg[own] = number
                    assert cfg[own] == number
                    cfg[f"folder.{own}{number}"] = number
                    assert own in [child.name for child in cfg.get_children()]
                    cfg.remove(f"folder.{own}{number}")
                    assert f"folder.{own}{number}" not in cfg
            except BaseException as fault:
                faults.append(fault)
                raise

        threads = [threading.Thread(target=work, args=(own,)) for own in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
        assert faults == []
        eventually(lambda: len(called) == 8 * 25 * 3)
        for own in "abcdefgh":
            assert [value for name, value in called if name == own] == list(range(25))
        assert "folder" not in cfg


def test_reading_asks_the_database_nothing(app: App, database_url: str) -> None:
    """003-22: neither for what is there nor for what isn't."""
    cfg = app.get_config("View")
    cfg["x"] = 1
    app.live.close()
    app.database(app.settings.config).close()
    assert (cfg["x"], cfg["missing"], "x" in cfg, cfg.keys(), cfg.search("X")[0].value) == (1, None, True, ["x"], 1)
    assert app.database(app.settings.config).pool.idle == []
    assert rows(database_url, "SELECT COUNT(*) FROM config_parameter") == [(2,)]
