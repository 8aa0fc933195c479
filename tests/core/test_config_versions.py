"""A version that does not exist: reading creates nothing, the first change creates it."""

from __future__ import annotations

import pytest

from NexusCore.API import App
from NexusCore.errors import NoSuchParameterException, ValueRefused
from tests.processes import eventually


class TestAVersionThatDoesNotExist:
    """A mistyped name must not become a version that everybody sees."""

    def test_reading_does_not_create_it(self, app: App) -> None:
        view = app.get_config("B", "nigth")
        assert (view["z"], view.keys(), view.version, list(view.get_leaves())) == (None, [], "nigth", [])
        assert view.history("z") == []
        with pytest.raises(NoSuchParameterException, match="does not exist in version 'nigth'"):
            view.get("z")
        assert app.get_config().list_versions() == ["default"]

    def test_a_refused_change_does_not_create_it(self, app: App) -> None:
        view = app.get_config(version="nigth")
        with pytest.raises(NoSuchParameterException):
            view.set("z", 1)
        with pytest.raises(ValueRefused):
            view["z"] = [1]  # type: ignore[assignment]
        assert view.list_versions() == ["default"]

    def test_the_first_change_creates_it(self, app: App, other: App) -> None:
        view, also = app.get_config("B", "night"), app.get_config(version="evening")
        seen: list[object] = []
        view.add_callback("z", lambda parameter: seen.append(parameter.value))
        view["z"] = 1
        assert (view["z"], view.list_versions()) == (1, ["default", "night"])
        assert other.get_config("B", "night")["z"] == 1
        view["z"] = 2
        eventually(lambda: seen == [1, 2])
        also.set_default("x", 5)
        assert (also["x"], view["z"], view.list_versions()) == (5, 2, ["default", "night", "evening"])

    def test_it_is_seen_when_others_create_it(self, app: App, other: App) -> None:
        view = app.get_config("B", "night")
        seen: list[object] = []
        view.add_callback("", lambda parameter: seen.append(parameter.value))
        other.get_config("B", "night")["z"] = 1
        eventually(lambda: view["z"] == 1 and seen == [1])
        view["z"] = 2
        assert other.get_config().list_versions() == ["default", "night"]
        eventually(lambda: other.get_config("B", "night")["z"] == 2)

    def test_it_can_be_the_target_of_a_copy(self, app: App) -> None:
        app.get_config()["z"] = 1
        view = app.get_config(version="night")
        app.get_config().copy_configuration("default", "night")
        assert view["z"] == 1
