"""Every error is one sentence, written once: the class's docstring with its facts."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import pkgutil
import string
from collections.abc import Iterator

import pytest

import NexusCore
from NexusCore import errors
from NexusCore.errors import NexusError, SettingsRefused

CODES = {1, 2, 3, 4}


def every_class() -> Iterator[type[NexusError]]:
    """Yield the error classes of the core, those in other modules too."""
    for module in pkgutil.walk_packages(NexusCore.__path__, "NexusCore."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)
    waiting = [NexusError]
    while waiting:
        one = waiting.pop()
        if one.__module__.startswith("NexusCore."):
            yield one
        waiting += one.__subclasses__()


CLASSES = sorted(set(every_class()), key=lambda one: one.__name__)


def facts(one: type[NexusError]) -> list[str]:
    """Return the names that stand in a class's docstring."""
    return [name for _, name, _, _ in string.Formatter().parse(one.__doc__ or "") if name]


class TestEachClass:
    """Its docstring is a sentence; its constructor takes the facts named there; its exit code says what it means."""

    @pytest.mark.parametrize("one", CLASSES)
    def test_the_sentence_contains_every_fact(self, one: type[NexusError]) -> None:
        given = {name: f"<{name} {{x}} %s>" for name in facts(one)}
        sentence = str(one(**given))
        for fact in given.values():
            assert fact in sentence
        assert "\n" not in sentence
        assert "  " not in sentence
        assert sentence[0] in string.ascii_uppercase + "'<"
        assert one.__doc__ is not NexusError.__doc__ or one is NexusError

    @pytest.mark.parametrize("one", CLASSES)
    def test_its_exit_code(self, one: type[NexusError]) -> None:
        assert one.exit_code in CODES

    @pytest.mark.parametrize("one", [one for one in CLASSES if facts(one)])
    def test_a_fact_that_is_missing_is_noticed(self, one: type[NexusError]) -> None:
        with pytest.raises(KeyError):
            one()

    @pytest.mark.parametrize("one", CLASSES)
    def test_it_travels_between_processes(self, one: type[NexusError]) -> None:
        """As an exception of a worker does: what cannot be unpickled ends the whole pool."""
        error = one(**{name: ValueError(name) for name in facts(one)})
        for came in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(came) is one
            assert str(came) == str(error)
            assert came.facts.keys() == error.facts.keys()


class TestExamples:
    """How they read."""

    def test_messages_read_as_whole_sentences(self) -> None:
        assert str(SettingsRefused(path="/etc/n.toml", mode="0644")) == (
            "The settings file /etc/n.toml holds a password and other users can read it (mode 0644). "
            "Close it with: chmod 600 /etc/n.toml"
        )
        assert str(errors.NoOpenSession(instrument="JEOL")) == "JEOL has no open session."
        assert str(errors.ValueRefused(path="a.b", value="'x'", reason="it is an integer")) == (
            "'a.b' cannot be set to 'x': it is an integer."
        )

    def test_a_reason_that_brings_its_full_stop(self) -> None:
        """The words of a driver or a system may end with one; the sentence has one all the same, whoever makes it."""
        full = errors.ConfigException(reason="it is closed.")
        assert str(full) == "The configuration refused this: it is closed."
        assert full.facts["reason"] == "it is closed"
        away = errors.DatabaseUnreachable(where="x", reason=OSError("No route."))
        assert str(away).startswith("The database at x does not answer (No route). Is ")
        assert str(errors.ConfigException(reason="wait...")).endswith("wait....")

    def test_a_reason_that_is_a_question(self) -> None:
        """It is followed by no full stop, whatever follows."""
        error = errors.SettingsUnreadable(path="a.toml", reason="Is it there, and is the path right?")
        assert str(error) == "The settings in a.toml cannot be used: Is it there, and is the path right?"
        assert str(errors.BadDatabaseURL(where="a.toml", reason="is it one?")).startswith(
            "The database URL in a.toml cannot be used: is it one? It looks like"
        )

    def test_a_reason_that_ends_the_sentence_keeps_its_full_stop(self) -> None:
        class Bare(NexusError):
            """This cannot be used: {reason}"""

        assert str(Bare(reason="It is closed.")) == "This cannot be used: It is closed."

    def test_the_codes_mean_what_the_module_says(self) -> None:
        """1 failure or no match, 2 usage, 3 database unreachable, 4 refused."""
        assert inspect.getdoc(errors)
        assert errors.NoSuchSession.exit_code == 1
        assert errors.BadDatabaseURL.exit_code == 2
        assert errors.DatabaseUnreachable.exit_code == 3
        assert errors.DatabaseDenied.exit_code == errors.SessionOpen.exit_code == errors.ValueRefused.exit_code == 4
