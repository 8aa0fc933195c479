"""One odd row stops no tool and no service, and what a person sees is text, whatever the tables hold."""

from __future__ import annotations

import json
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from NexusCore.storage import Database, open_database
from NexusCore.storage.schema import METADATA
from NexusCore.text import is_odd
from tests.tools.odd_rows import NOT_UTF8, ODD, OddFacility, commands
from tests.tools.programs import Done, in_process
from Tools.doctor.checks.rows import TABLES

COUNTED = {
    "SessionTool list -n 9999": "FEI-Titan-TEM",
    "TailLog": "the good line",
    "TailStatus --all": "idle",
    "ConfigTool list": "Good.number",
}
"""What a command shows of the good rows."""


@pytest.fixture(params=["sqlite", "mariadb", "mysql"])
def facility(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddFacility]:
    url = request.getfixturevalue(f"{request.param}_url")
    monkeypatch.setenv("NEXUSCORE_DATABASE", url)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TERM", "dumb")
    database = open_database(url)
    yield OddFacility(database, tmp_path)
    database.close()


def is_sane(done: Done, codes: tuple[int, ...] = (0, 1)) -> bool:
    text = done.out + done.err
    return done.code in codes and "Traceback" not in text and "A fault of the program" not in text


def odd_characters(text: str) -> set[str]:
    return {unicodedata.name(one, hex(ord(one))) for one in set(text) - {"\n", "\t"} if is_odd(one)}


class TestTheTables:
    """Every column of every table has a kind: what is added to the schema is looked at by Doctor, too."""

    def test_none_is_left_out(self) -> None:
        known = {columns.table: list(columns.columns) for tables in TABLES.values() for columns in tables}
        assert known == {table.name: [column.name for column in table.columns] for table in METADATA.sorted_tables}


class TestTools:
    """Every command that looks, in every format, with an odd value of each kind in each column."""

    def test_each_command_survives_odd_rows(self, facility: OddFacility) -> None:
        assert facility.taken > 250
        faults = []
        for words in commands(facility.good):
            done = in_process(*words)
            if not is_sane(done):
                faults.append(f"{words}: exit code {done.code}: {(done.out + done.err)[-1000:]}")
            if odd_characters(done.out + done.err):
                faults.append(f"{words} shows {odd_characters(done.out + done.err)}")
            if "cat" not in words and "--csv" not in words and "\nFORGED" in done.out:
                faults.append(f"{words}: a line was forged")
            command = " ".join(words)
            for beginning, expected in COUNTED.items():
                rows = command.startswith(beginning) and "values" not in command and "disk" not in command
                if rows and expected not in done.out:
                    faults.append(f"{words} does not show '{expected}': {done}")
            if "--json" in words or "json" in words or "serialize" in words:
                lines = [done.out] if "serialize" in words else done.out.splitlines()
                for line in lines:
                    json.loads(line)
        assert not faults, "\n".join(faults)

    def test_each_session_can_be_shown_and_traced(self, facility: OddFacility) -> None:
        listed = in_process("SessionTool", "list", "-n", "9999", "--json")
        found = [one["identifier"] for one in listed.objects]
        assert facility.good.identifier in found
        for identifier in (one for one in found if one and "\0" not in one):
            for command in ("show", "trace"):
                done = in_process("SessionTool", command, identifier, *(["-n", "2"] if command == "show" else []))
                assert is_sane(done), (identifier, done)
                assert not odd_characters(done.out + done.err)

    def test_the_bundle_contains_no_odd_character(self, facility: OddFacility, tmp_path: Path) -> None:
        done = in_process("Doctor", "--bundle", str(tmp_path / "bundle.zip"))
        assert is_sane(done), done
        with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
            texts = {name: archive.read(name).decode() for name in archive.namelist()}
        assert len(texts) == 10, (done.err, sorted(texts))
        for name, text in texts.items():
            assert not odd_characters(text), name
        assert any("the good line" in text for text in texts.values())


class TestOneRowTables:
    """A counter of revisions that cannot be read is taken from the changes, and the next one mends it."""

    @pytest.mark.parametrize("value", [one for one in (*ODD, NOT_UTF8) if not isinstance(one, int)], ids=ascii)
    def test_an_unreadable_counter_is_restored(self, embedded: Database, value: object) -> None:
        in_process("ConfigTool", "A.b=1")
        with embedded.transaction() as transaction:
            if value is not None:
                transaction.run("UPDATE config_revision SET revision = :value", value=value)
        for words in (("list",), ("A.b=2",), ("A.b=3",), ("history", "A.b")):
            assert is_sane(in_process("ConfigTool", *words), (0,)), words
        with embedded.reading() as reading:
            assert reading.one("SELECT revision FROM config_revision") == reading.one(
                "SELECT MAX(revision) FROM config_change"
            )
