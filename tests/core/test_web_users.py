"""Users of the web pages and the key that signs their cookies: `NexusCore.facility.web_users`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from NexusCore import sizes
from NexusCore.errors import TooLong
from NexusCore.facility import WebUsers
from NexusCore.facility.web_users import PasswordRefused, hash_password
from NexusCore.storage import Database, open_database
from tests.clocks import START, SetClock, databases_follow
from tests.processes import execute, rows

PASSWORD = "correct horse"
WEAK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Makes hashes in no time."""


@pytest.fixture
def clock() -> Iterator[SetClock]:
    clock = SetClock()
    with databases_follow(clock):
        yield clock


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.close()


@pytest.fixture
def users(database: Database, clock: SetClock) -> WebUsers:
    return WebUsers(database, clock)


class TestUpdate:
    """Users and key are set together; other users stay."""

    def test_all_comes_back(self, users: WebUsers, clock: SetClock) -> None:
        assert users.is_empty()
        assert users.update({"ada": "a", "Ada": "b", "Zoë\U0001f52c": "z"}, "key")
        clock.move(60)
        assert users.update({"ada": "c", "ben": "d"}, "new")
        found = {user.name: (user.password_hash, user.changed_ts) for user in users.all()}
        later = START + 60_000_000
        assert found == {
            "ada": ("c", later), "Ada": ("b", START), "Zoë\U0001f52c": ("z", START), "ben": ("d", later),
        }  # fmt: skip
        assert users.signing_key() == "new"
        assert not users.is_empty()

    def test_a_stored_key_can_be_kept(self, users: WebUsers) -> None:
        assert users.update({}, "first", overwrite_key=False), "none is stored"
        assert not users.update({"ada": "a"}, "second", overwrite_key=False)
        assert users.signing_key() == "first"
        assert [user.name for user in users.all()] == ["ada"]

    def test_all_or_nothing(self, users: WebUsers) -> None:
        with pytest.raises(TooLong, match="The name of the user has 129 characters"):
            users.update({"ada": "a", "x" * 129: "b"}, "key")
        assert users.is_empty()

    def test_an_empty_key_counts_as_none(self, users: WebUsers, database_url: str) -> None:
        """Anybody could sign with it."""
        users.update({}, "key")
        execute(database_url, "UPDATE web_setting SET value = ''")
        assert users.signing_key() is None
        assert users.update({}, "new", overwrite_key=False)
        assert users.signing_key() == "new"


class TestPasswords:
    """What is stored lets nobody log in who does not know the password."""

    def test_only_the_hash_is_stored(self, users: WebUsers, database_url: str) -> None:
        users.update({"ada": hash_password("ada", PASSWORD)}, "key")
        ((stored,),) = rows(database_url, "SELECT password_hash FROM web_user")
        assert stored.startswith("$argon2id$v=19$m=65536,")
        assert PASSWORD not in stored
        assert hash_password("ada", PASSWORD) != stored, "each has a salt of its own"
        assert users.check("ada", PASSWORD)

    @pytest.mark.parametrize(
        ("name", "password"),
        [("ada", "wrong"), ("ada", ""), ("Ada", PASSWORD), ("ben", PASSWORD), ("ada", "x" * (sizes.PASSWORD + 1))],
    )
    def test_all_else_is_refused(self, users: WebUsers, name: str, password: str) -> None:
        users.update({"ada": WEAK.hash(PASSWORD)}, "key")
        assert not users.check(name, password)

    def test_a_hash_is_not_a_password(self, users: WebUsers) -> None:
        stored = WEAK.hash(PASSWORD)
        users.update({"ada": hash_password("ada", stored)}, "key")
        assert users.all()[0].password_hash == stored
        assert not users.check("ada", stored)
        assert users.check("ada", PASSWORD)

    def test_a_weak_hash_is_replaced_at_the_next_login(self, users: WebUsers) -> None:
        users.update({"ada": WEAK.hash(PASSWORD)}, "key")
        assert not users.check("ada", "wrong")
        assert "m=8," in users.all()[0].password_hash
        assert users.check("ada", PASSWORD)
        assert "m=65536," in users.all()[0].password_hash
        assert users.check("ada", PASSWORD)

    def test_what_is_no_hash_lets_nobody_in(self, users: WebUsers) -> None:
        users.update({"ada": PASSWORD, "ben": "", "eve": "$argon2id$v=19$m=8,t=1,p=1$abc$def"}, "key")
        for name in ("ada", "ben", "eve"):
            for password in (PASSWORD, "", "$argon2id$v=19$m=8,t=1,p=1$abc$def"):
                assert not users.check(name, password)

    @pytest.mark.parametrize(
        ("password", "reason"),
        [
            ("", "it is empty"),
            ("x" * (sizes.PASSWORD + 1), "it has more than 1,024 bytes"),
            ("$argon2id$v=19$rubbish", "it begins like an Argon2 hash, but is not a valid one"),
        ],
    )
    def test_a_password_that_is_refused(self, password: str, reason: str) -> None:
        with pytest.raises(PasswordRefused) as raised:
            hash_password("ada", password)
        assert str(raised.value) == f"The password of 'ada' cannot be used: {reason}."
