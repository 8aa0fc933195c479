"""Every name in every statement is quoted: what one server or its next release reserves is a name like any other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from NexusCore.storage import open_database
from NexusCore.storage.dialect import with_names_quoted
from NexusCore.storage.schema import METADATA
from tests.core.tables import connect
from tests.mysql import MySQL
from tests.processes import PROJECT, execute

RESERVED = ("function", "groups", "rank", "row_number", "system", "window", "lateral", "of", "empty", "order", "key")
"""Words that one database or another keeps for itself."""
BESIDE_THE_TRANSACTION = (
    "NexusCore/storage/driver.py",
    "NexusCore/storage/migrate.py",
    "NexusCore/storage/repeatable.py",
    "NexusCore/storage/migration_lock.py",
    "Install/server_tls.py",
    "Install/set_up_mysql.py",
)
"""Modules that hand statements to a driver themselves, with names that they quote themselves."""
BELOW_THE_TRANSACTION = (
    "NexusCore/storage/dialect.py",
    "NexusCore/storage/transaction.py",
    # Files of the PC itself, on which there is no NexusCore.
    "Logger/local_file.py",
    "Logger/outbox.py",
    "Logger/transfer/pending.py",
    "Logger/transfer/state.py",
    # Moves a file before services have a database.
    "Install/take_over.py",
)
NO_NAMES = {"`utf8mb4`": "utf8mb4", "`utf8mb4_bin`": "utf8mb4_bin"}
"""Of character sets: what the statement of set-up says outside quotes."""


def modules() -> list[Path]:
    folders = ("NexusCore", "Services", "Tools", "Logger", "Install")
    found = [path for folder in folders for path in sorted((PROJECT / folder).rglob("*.py"))]
    return [path for path in found if "versions" not in path.parts]


def texts(path: Path) -> Iterator[str]:
    """Yield the texts in a module, each f-string with ``x`` where a value comes; docstrings are not among them."""
    tree = ast.parse(path.read_text("utf-8"))
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "X" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in parts | documentation:
            yield node.value


def statements(path: Path) -> list[str]:
    verb = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|SHOW|GRANT|REVOKE)\s")
    return [bare for text in texts(path) if verb.match(bare := re.sub(r"--[^\n]*", "", text))]


class TestHowNamesAreFound:
    """A word in small letters is a name, unless it is called; texts, placeholders and keywords stay as they are."""

    @pytest.mark.parametrize(
        ("written", "sent"),
        [
            ("SELECT t.function, rank FROM log_record t", "SELECT `t`.`function`, `rank` FROM `log_record` `t`"),
            ("WHERE name = :name AND level IN (:l_0, :l_1)", "WHERE `name` = :name AND `level` IN (:l_0, :l_1)"),
            ("SELECT 'it''s -- a text', \"x\", `y`, 1e5", "SELECT 'it''s -- a text', \"x\", `y`, 1e5"),
            ("SELECT @@max_allowed_packet, @@global.read_only", "SELECT @@max_allowed_packet, @@global.read_only"),
            ("SELECT sqlite_version(), COUNT(*) AS rows", "SELECT sqlite_version(), COUNT(*) AS `rows`"),
            ("SELECT a -- why: b\n FROM t", "SELECT `a` \n FROM `t`"),
            ("FROM information_schema.tables", "FROM `information_schema`.`tables`"),
            ("SET state='BUILT',n=n+1", "SET `state`='BUILT',`n`=`n`+1"),
        ],
    )
    def test_only_names_get_quoted(self, written: str, sent: str) -> None:
        assert with_names_quoted(written) == sent

    def test_what_is_quoted_stays(self) -> None:
        once = with_names_quoted("SELECT t.ts FROM log_record t WHERE t.id > :last")
        assert with_names_quoted(once) == once


class TestReservedWords:
    """Tables and columns named by reserved words do in every kind of statement, on every database."""

    def test_every_statement_takes_reserved_words(self, database_url: str) -> None:
        columns = ", ".join(f"{word} INTEGER" for word in RESERVED[1:])
        # "function" is the key, and the table is called "lateral".
        execute(database_url, f"CREATE TABLE lateral (function INTEGER PRIMARY KEY, {columns})")
        with closing(open_database(database_url)) as database:
            with database.transaction() as transaction:
                transaction.insert("lateral", function=1, groups=1, rank=1)
                transaction.insert_many("lateral", RESERVED, [tuple(range(2, 2 + len(RESERVED)))])
                transaction.insert_new("lateral", ("function", "of"), [(1, 7), (3, 7)])
                transaction.upsert("lateral", ("function", "window", "rank"), ("function",), [(1, 9, 0)], "rank")
                transaction.upsert("lateral", ("function", "system"), ("function",), [(1, 5)])
                transaction.run("UPDATE lateral SET empty = 4 WHERE row_number IS NULL AND function = :key", key=1)
                transaction.run("DELETE FROM lateral WHERE of = 7")
            with database.reading() as reading:
                found = reading.all(
                    """SELECT lateral.function, window, rank, groups AS of, system, empty FROM lateral
                        WHERE row_number IS NULL GROUP BY function, window, rank, groups, system, empty
                        ORDER BY lateral.function, of"""
                )
        assert found == [(1, None, 1, 1, 5, 4)]

    def test_the_tables_themselves(self, mysql: MySQL, mysql_url: str) -> None:
        """The statements that make them quote what the server keeps for itself; MariaDB has no list of its own."""
        query = "SELECT LOWER(`word`) FROM `information_schema`.`keywords` WHERE `reserved` = 1"
        reserved = {word for (word,) in mysql.execute(query)}
        assert {"function", "groups", "rank"} <= reserved
        engine = connect(mysql_url)
        with engine.connect():  # now it knows which server it is
            quote = engine.dialect.identifier_preparer.quote
        names = {name for table in METADATA.sorted_tables for name in (table.name, *table.columns.keys())}
        assert [name for name in names & reserved if quote(name) != f"`{name}`"] == []


class TestNothingGoesAround:
    """Statements reach a database through `Transaction`, which has their names quoted."""

    @pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PROJECT)))
    def test_each_module_sends_statements_through_transaction(self, path: Path) -> None:
        for statement in statements(path):
            small = r"(?<!:)\b(select|insert|update|delete|from|where|set|values|join|and|or|order by)\b"
            assert not re.search(small, re.sub(r"'[^']*'", "", statement)), "keywords in capitals"
            assert not re.search(r"\b(FROM|JOIN|INTO|UPDATE)\s+\w+\(", statement), "a table looks like a function"
        if str(path.relative_to(PROJECT)) not in BESIDE_THE_TRANSACTION + BELOW_THE_TRANSACTION:
            calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
            functions = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
            assert not functions & {"execute", "executemany", "executescript", "cmd_query"}

    @pytest.mark.parametrize("name", BESIDE_THE_TRANSACTION)
    def test_what_is_quoted_where_it_stands(self, name: str) -> None:
        for statement in statements(PROJECT / name):
            written = statement.replace("%s", ":value")
            sent = with_names_quoted(written)
            for quoted, bare in NO_NAMES.items():
                sent = sent.replace(quoted, bare)
            assert sent == written

    def test_the_grants_are_quoted_already(self) -> None:
        text = re.sub(r"--[^\n]*", "", (PROJECT / "Install/grants.sql").read_text("utf-8"))
        assert with_names_quoted(text) == text
