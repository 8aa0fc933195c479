"""Where a parameter can stand: the store itself keeps parameters and folders apart, whoever writes (003-07, 003-23)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.dry_run import DryRunDatabase
from NexusCore.config.history import state_at, state_now, version_at, way_back
from NexusCore.config.store import REMOVE, ConfigStore, Edit, Origin
from NexusCore.config.values import Limits
from NexusCore.config.working_set import FEW_CHANGES
from NexusCore.errors import ConfigException, NoSuchVersionException, ValueRefused
from NexusCore.settings import DatabaseURL
from NexusCore.storage import Database, Transaction, open_database
from tests.processes import execute

NEIGHBOURS = ("A.bc", "A.b-c.d", "A.b c.d", "A.b!.d", "AA.b.c", "A.b/c.d", "A.B.c", "A.bé.c")
JANE = Origin("jane", "desk", "test", "for the test")


class Counting(Database):
    """A database that counts the statements of its transactions."""

    statements = 0

    def write(self, work, **limits):  # type: ignore[no-untyped-def]
        def counted(transaction: Transaction) -> object:
            execute = transaction._execute

            def count(*arguments: object) -> object:
                self.statements += 1
                return execute(*arguments)  # type: ignore[arg-type]

            transaction._execute = count  # type: ignore[method-assign]
            return work(transaction)

        return super().write(counted, **limits)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def store(database: Database) -> ConfigStore:
    return ConfigStore(database, SYSTEM_CLOCK)


def apply(store: ConfigStore, *edits: Edit) -> list[int]:
    return store.apply(store.version_id("default"), "default", edits, JANE)


def paths(store: ConfigStore) -> set[str]:
    return {one.path for one in store.load(store.version_id("default"))} - {"default_version"}


def values(store: ConfigStore) -> dict[str, str | None]:
    return {one.path: one.value for one in store.load(store.version_id("default")) if one.path != "default_version"}


class TestAPathIsAParameterOrAFolder:
    """No parameter where a folder has contents, and nothing below a parameter; the sentence says what is in the way."""

    def test_no_parameter_where_a_folder_has_contents(self, store: ConfigStore) -> None:
        apply(store, Edit("A.b.c", value=1))
        for path in ("A", "A.b"):
            with pytest.raises(ValueRefused, match=f"'{path}' cannot be set to 2: it is a folder, without a value"):
                apply(store, Edit(path, value=2))
        assert paths(store) == {"A.b.c"}

    def test_nothing_below_a_parameter(self, store: ConfigStore) -> None:
        apply(store, Edit("A.b", value=1))
        for edit in (Edit("A.b.c", value=2), Edit("A.b.c.d", value=2), Edit("A.b.c", datatype="folder")):
            with pytest.raises(ValueRefused, match=r"'A\.b' is a parameter, so there can be nothing below it"):
                apply(store, edit)
        assert paths(store) == {"A.b"}

    @pytest.mark.parametrize("neighbour", NEIGHBOURS)
    def test_similar_names_are_not_in_the_way(self, store: ConfigStore, neighbour: str) -> None:
        """Names that begin alike, on either side of the dot in the order of the database."""
        apply(store, Edit(neighbour, value=1))
        apply(store, Edit("A.b", value=2))
        assert paths(store) == {neighbour, "A.b"}

    def test_an_empty_folder_may_become_a_parameter(self, store: ConfigStore) -> None:
        apply(store, Edit("A.b", datatype="folder"))
        apply(store, Edit("A.b", value=1, datatype="integer"))
        with pytest.raises(ValueRefused, match="nothing below it"):
            apply(store, Edit("A.b.c", value=1))

    def test_a_folder_with_contents_stays_one(self, store: ConfigStore) -> None:
        apply(store, Edit("A", datatype="folder"), Edit("A.b", value=1))
        with pytest.raises(ValueRefused, match="it is a folder"):
            apply(store, Edit("A", value=1, datatype="integer"))
        apply(store, Edit("A", datatype="folder", comment="said of it"))

    def test_versions_do_not_mind_each_other(self, store: ConfigStore) -> None:
        night = store.add_version("night")
        apply(store, Edit("A", value=1))
        store.apply(night, "night", [Edit("A.b", value=1)], JANE)

    def test_what_was_so_before_can_still_be_changed(self, store: ConfigStore, database_url: str) -> None:
        """Someone wrote into the tables by hand, or long ago."""
        apply(store, Edit("A.b", value=1))
        execute(
            database_url,
            """INSERT INTO config_parameter (version_id, path, name, value, datatype, last_modified, revision)
               VALUES (:version, 'A', 'A', '1', 'integer', 0, 1)""",
            version=store.version_id("default"),
        )
        apply(store, Edit("A", value=5), Edit("A.b", value=6))
        assert values(store) == {"A": "5", "A.b": "6"}
        apply(store, Edit("A", REMOVE))


class TestWithinAGroup:
    """Changes are made in their order, and each sees what those before it left."""

    @pytest.mark.parametrize("many", [0, FEW_CHANGES])
    def test_a_group_cannot_contradict_itself(self, store: ConfigStore, many: int) -> None:
        others = [Edit(f"Other.p{number}", value=number) for number in range(many)]
        for edits in (
            [Edit("A", value=1), Edit("A.b", value=2)],
            [Edit("A.b", value=2), Edit("A", value=1)],
            [Edit("A.b.c", datatype="folder"), Edit("A.b", value=1)],
        ):
            with pytest.raises(ValueRefused):
                apply(store, *others, *edits)
        assert paths(store) == set()

    @pytest.mark.parametrize("many", [0, FEW_CHANGES])
    def test_what_is_removed_makes_room(self, store: ConfigStore, many: int) -> None:
        others = [Edit(f"Other.p{number}", value=number) for number in range(many)]
        apply(store, Edit("A", value=1))
        apply(store, *others, Edit("A", REMOVE), Edit("A.b", value=2))
        apply(store, Edit("A.b", REMOVE), Edit("A", value=3))
        assert values(store) == {"A": "3", **{edit.path: str(edit.value) for edit in others}}

    def test_a_parameter_may_be_changed_several_times(self, store: ConfigStore) -> None:
        revisions = apply(
            store, Edit("x", value=1), Edit("x", value=2), Edit("x", REMOVE), Edit("x", value="3"), Edit("y", value=4)
        )
        assert len(revisions) == 5
        assert values(store) == {"x": "3", "y": "4"}
        history = store.history(store.version_id("default"), "x")
        assert [(one.action, one.old_value, one.new_value) for one in reversed(history)] == [
            ("set", None, "1"), ("set", "1", "2"), ("remove", "2", None), ("set", None, "3"),
        ]  # fmt: skip

    def test_the_way_back_leads_through_a_change_of_kind(self, store: ConfigStore) -> None:
        """A parameter became a folder meanwhile, another folder a parameter; both ways lead back."""
        version = store.version_id("default")
        then = apply(store, Edit("A", value=1), Edit("B.c", value=2))[-1]
        now = apply(store, Edit("A", REMOVE), Edit("A.x", value=3), Edit("B.c", REMOVE), Edit("B", value=4))[-1]
        apply(store, *way_back(state_now(store, version), state_at(store, version, then)))
        assert values(store) == {"A": "1", "B.c": "2"}
        apply(store, *way_back(state_now(store, version), state_at(store, version, now)))
        assert values(store) == {"A.x": "3", "B": "4"}


class TestAmongWriters:
    """Of two that would contradict each other, one is refused, however close they come."""

    def test_a_parameter_and_what_is_below_it(self, database_url: str) -> None:
        stores = [ConfigStore(open_database(database_url), SYSTEM_CLOCK) for _ in range(2)]
        together = threading.Barrier(len(stores))

        def write(number: int, store: ConfigStore, edit: Edit) -> bool:
            together.wait(30)
            try:
                apply(store, edit)
            except ValueRefused:
                return False
            return True

        with ThreadPoolExecutor(len(stores)) as pool:
            for number in range(20):
                edits = (Edit(f"P{number}", value=1), Edit(f"P{number}.x", value=1))
                done = list(pool.map(write, [number] * 2, stores, edits))
                assert sorted(done) == [False, True]
        found = paths(stores[0])
        assert not [path for path in found if path.partition(".")[0] in found and "." in path]
        for store in stores:
            store.database.close()


class TestManyAtOnce:
    """A group of thousands costs a few statements, not some for each."""

    def test_statements_do_not_grow_with_the_group(self, database_url: str) -> None:
        """20,000 new parameters stay quick."""
        database = Counting(DatabaseURL.parse(database_url))
        store = ConfigStore(database, SYSTEM_CLOCK)
        counts = []
        for first, count in ((0, 1), (10, 200), (1000, 5000)):
            database.statements = 0
            apply(store, *(Edit(f"Tree.f{n % 50}.p{n}", value=n) for n in range(first, first + count)))
            counts.append(database.statements)
        assert counts[1] == counts[2] <= counts[0] + 1
        assert len(paths(store)) == 5201
        database.statements = 0
        apply(store, *(Edit(f"Tree.f{n % 50}.p{n}", REMOVE) for n in range(1000, 6000)))
        assert database.statements <= 20
        assert len(paths(store)) == 201
        database.close()

    def test_the_history_is_as_of_single_changes(self, store: ConfigStore) -> None:
        version = store.version_id("default")
        edits = [Edit(f"Tree.p{n}", value=n, comment="c", limits=Limits(minimum=0)) for n in range(FEW_CHANGES + 1)]
        revisions = apply(store, *edits)
        assert revisions == list(range(revisions[0], revisions[0] + len(edits)))
        (entry,) = store.history(version, "Tree.p7")
        assert (entry.revision, entry.path, entry.version) == (revisions[7], "Tree.p7", "default")
        assert (entry.old_value, entry.new_value, entry.comment) == (None, "7", "c")
        assert (entry.who, entry.host, entry.tool, entry.why) == ("jane", "desk", "test", "for the test")
        with pytest.raises(ValueRefused, match="at least 0"):
            apply(store, *(Edit(f"Tree.p{n}", value=n - 5) for n in range(FEW_CHANGES + 1)))
        assert store.revision() == revisions[-1]


class TestDryRun:
    """What a change would come to can be seen, with all its checks, and nothing stays of it."""

    def test_changes_are_checked_and_shown_but_not_kept(self, store: ConfigStore, database_url: str) -> None:
        apply(store, Edit("A.b", value=1))
        before = store.revision()
        dry_run = DryRunDatabase(DatabaseURL.parse(database_url))
        changed = ConfigStore(dry_run, SYSTEM_CLOCK)
        apply(changed, Edit("A.b", value=2), Edit("A.c", value=3))
        assert [(one.path, one.value) for one in dry_run.changes] == [("A.b", "2"), ("A.c", "3")]
        with pytest.raises(ValueRefused):
            apply(changed, Edit("A", value=2))
        assert (values(store), store.revision()) == ({"A.b": "1"}, before)
        dry_run.close()

    def test_versions_are_neither_added_nor_deleted(self, store: ConfigStore, database_url: str) -> None:
        store.add_version("night")
        dry_run = DryRunDatabase(DatabaseURL.parse(database_url))
        changed = ConfigStore(dry_run, SYSTEM_CLOCK)
        changed.copy("default", "day", False, JANE)
        changed.delete_version("night", JANE)
        assert [one.path for one in dry_run.changes] == ["default_version"]
        assert store.versions() == ["default", "night"]
        apply(store, Edit("still", value="writable"))
        dry_run.close()


class TestVersionsComeBack:
    """A version that was deleted can be filled again with what it held."""

    def test_what_a_deleted_version_held(self, store: ConfigStore) -> None:
        night = store.add_version("night")
        limits = Limits(minimum=1)
        revision = store.apply(night, "night", [Edit("A.b", value=1, comment="c", limits=limits)], JANE)[-1]
        store.delete_version("night", JANE)
        found = list(state_at(store, version_at(store, "night", revision), revision).values())
        store.fill("night", lambda _: found, "night, as it was", False, JANE)
        (one,) = store.load(store.version_id("night"))
        assert (one.path, one.value, one.comment, one.limits) == ("A.b", "1", "c", limits.to_json())
        with pytest.raises(NoSuchVersionException):
            version_at(store, "evening", revision)

    def test_the_version_in_use_stays(self, store: ConfigStore) -> None:
        """003-18: whoever names no version would be left without one."""
        store.copy("default", "night", False, JANE)
        apply(store, Edit("default_version", value="night"))
        with pytest.raises(ConfigException, match="'night' is in use: default_version names it"):
            store.delete_version("night", JANE)
        apply(store, Edit("default_version", value="default"))
        store.delete_version("night", JANE)
        assert store.versions() == ["default"]


class TestTheHistoryHidesSecrets:
    """A follower of all changes sees no secret, also where it ceases to be one or is removed."""

    def test_no_entry_contains_a_secret_value(self, store: ConfigStore) -> None:
        before = store.revision()
        secret = Limits(secret=True)
        apply(store, Edit("password", value="hunter1", limits=secret), Edit("plain", value="seen"))
        apply(store, Edit("password", value="hunter2"))
        apply(store, Edit("password", value="hunter3", limits=Limits()))
        apply(store, Edit("password", value="hunter4", limits=secret), Edit("password", REMOVE), Edit("plain", REMOVE))
        entries = store.entries_since(before)
        assert "hunter" not in repr(entries)
        assert [(one.path, one.action) for one in entries] == [
            ("password", "set"), ("plain", "set"), ("password", "set"), ("password", "set"), ("password", "set"),
            ("password", "remove"), ("plain", "remove"),
        ]  # fmt: skip
        assert (entries[1].new_value, entries[-1].old_value) == ("seen", "seen")

    def test_a_refusal_does_not_repeat_it(self, store: ConfigStore) -> None:
        apply(store, Edit("password", value="hunter1", limits=Limits(secret=True, pattern="hunter.")))
        for edit in (Edit("password", value="secret"), Edit("password", value="secret", if_revision=1)):
            with pytest.raises(ValueRefused) as caught:
                apply(store, edit)
            assert "secret" not in str(caught.value)
