"""Doctor --bundle: what somebody needs who helps from afar, and not one secret."""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.config.values import Limits
from NexusCore.facility.sessions import Client, Sessions, State
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.storage import Database
from tests.mariadb import MariaDB
from tests.processes import app_on
from tests.tools.conftest import configure, log, report
from tests.tools.programs import Done, run
from Tools.doctor.redaction import Redactor

FILES = {
    "README.txt", "doctor.json", "settings.json", "configuration.json", "log.jsonl", "status.json", "sessions.json",
    "journals.json", "packages.txt", "system.txt",
}  # fmt: skip
PARAMETER = 's3cr\\et "tökén"'
OLDER = "the-token-before"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
CALENDAR = "https://calendar.example.org/private-5ca1ab1e/basic.ics"
VARIABLE = "variable/secret+&%"


def bundle(path: Path, *words: str, **variables: str) -> Done:
    return run("Doctor", "--bundle", str(path), *words, **variables)


def content(path: Path) -> dict[str, bytes]:
    """Return the files of an archive, without their common folder."""
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def part(path: Path, name: str) -> Any:
    return json.loads(content(path)[name])


class TestContents:
    """What is in it, and that it says so itself."""

    def test_each_file_holds_its_part(self, database: Database, tmp_path: Path) -> None:
        configure(database, Edit("Camera.gain", value=3, comment="Electrons per count."))
        log(database, "hello")
        report(database, (SYSTEM_CLOCK.now(), "Camera", "state", "idle", None))
        sessions, client = Sessions(database, SYSTEM_CLOCK), Client("jane", "pc")
        sessions.end(sessions.start("Titan", client, "s-1").identifier, client)
        claimed = sessions.claim(client, "b", 300)
        assert claimed is not None
        sessions.finish(claimed, "b", State.ERROR, "The schema says no", None)
        path = tmp_path / "out.zip"
        done = bundle(path)
        assert (done.code, done.lines) == (0, [str(path)])
        assert "10 files, " in done.err
        found = content(path)
        assert found.keys() == FILES
        assert all(name in found["README.txt"].decode() for name in FILES - {"README.txt"})
        assert {"Databases", "Sessions"} <= {one["group"] for one in part(path, "doctor.json")}
        assert part(path, "configuration.json")["parameters"]["Camera"]["gain"] == {
            "datatype": "integer", "value": 3, "comment": "Electrons per count.",
        }  # fmt: skip
        assert json.loads(found["log.jsonl"].splitlines()[-1])["message"] == "hello"
        assert part(path, "status.json")[0]["value"] == "idle"
        assert part(path, "sessions.json")["sessions"][0]["error"] == "The schema says no"
        assert part(path, "journals.json") == []
        assert re.search(rb"^mysql-connector-python \d", found["packages.txt"], re.M)
        assert part(path, "settings.json")["main"].endswith(f"/{database.url.name}")

    def test_the_newest_lines_of_log(self, embedded: Database, tmp_path: Path) -> None:
        rows = [(n, 20, "x", "m", 1, "f", "h", 1, "t", f"line {n}", None, None) for n in range(2100)]
        with embedded.transaction() as transaction:
            transaction.insert_many("log_record", LOG_COLUMNS, rows)
        bundle(tmp_path / "out.zip")
        lines = [json.loads(line)["message"] for line in content(tmp_path / "out.zip")["log.jsonl"].splitlines()]
        assert lines == [f"line {n}" for n in range(100, 2100)]

    def test_the_database_is_away(self, embedded: Database, tmp_path: Path) -> None:
        """All else is there; what is missing is named, on the screen and in the archive. Exit code 3."""
        path = tmp_path / "out.zip"
        done = bundle(path, NEXUSCORE_DATABASE="mysql://u:hunter2@127.0.0.1:1/nothing")
        assert done.code == 3
        assert "Not in it: log.jsonl, status.json, sessions.json. Left out: the configuration" in done.err
        assert content(path).keys() == FILES - {"configuration.json", "log.jsonl", "status.json", "sessions.json"}
        readme = content(path)["README.txt"].decode()
        assert "configuration.json  Not checked: mysql://u@127.0.0.1:1/nothing does not answer." in readme


class TestTheFile:
    """It is written whole or not at all, for its owner only, and replaces nothing unasked."""

    def test_one_that_is_there(self, embedded: Database, tmp_path: Path) -> None:
        path = tmp_path / "out.zip"
        path.write_text("mine")
        done = bundle(path)
        assert (done.code, done.out, path.read_text()) == (4, "", "mine")
        assert f"The file {path} exists already; use --force to replace it." in done.err
        assert bundle(path, "--force").code == 0
        assert content(path).keys() == FILES

    def test_it_is_closed_to_others(self, embedded: Database, tmp_path: Path) -> None:
        bundle(tmp_path / "out.zip")
        assert stat.S_IMODE((tmp_path / "out.zip").stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.glob("out*")] == ["out.zip"]

    def test_a_folder_that_is_not_there(self, embedded: Database, tmp_path: Path) -> None:
        done = bundle(tmp_path / "no/out.zip")
        assert (done.code, "cannot be written: No such file or directory" in done.err) == (4, True)


class TestSecrets:
    """Whatever is secret is in no file of it, however it was written where it was found."""

    @pytest.fixture
    def planted(self, database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, ...]:
        """Plant secrets wherever there may be one; return how each may be written."""
        secret = Limits(secret=True)
        configure(
            database,
            Edit("Services.Uploader.cdcs.token", value=OLDER, limits=secret),
            Edit("Instruments.Titan.api_url", value=f"{CALENDAR}?key=1"),
            Edit("Camera.password", value="not-marked-as-one"),
        )
        configure(database, Edit("Services.Uploader.cdcs.token", value=PARAMETER))
        monkeypatch.setenv("NEXUSCORE_CDCS_TOKEN", VARIABLE)
        monkeypatch.setenv("nexusLIMS_pass", "facility-wide")
        (tmp_path / "defaults").write_text('NEXUSCORE_NEMO_TOKEN="of-the-services"\n')
        monkeypatch.setenv("NEXUSCORE_DEFAULTS", str(tmp_path / "defaults"))
        for line in (
            f"sent with {PARAMETER}, before with {OLDER}",
            f"{PARAMETER!r} {json.dumps(PARAMETER)} {quote(PARAMETER)} {quote(VARIABLE, safe='')}",
            "connecting to mysql://root:h%40nt3r@db/nexus and https://jane:p@ss/word@example.org/x",
            f"Authorization: Token {TOKEN}",
            "login with password=open-sesame, user=jane",
            f"asked {CALENDAR}, GET /private-5ca1ab1e/basic.ics and https://example.org/api?signature=abcdef123",
            "of-the-services, facility-wide, not-marked-as-one",
        ):
            log(database, line, traceback=f"Traceback\n  {line}")
        now = SYSTEM_CLOCK.now()
        report(database, (now, "Uploader", "destination cdcs", f"It refused {PARAMETER}", None))
        report(database, (now, "Camera", "token", "of-a-status", None))
        sessions, client = Sessions(database, SYSTEM_CLOCK), Client("jane", "pc")
        sessions.end(sessions.start("Titan", client, "s-1").identifier, client)
        claimed = sessions.claim(client, "b", 300)
        assert claimed is not None
        sessions.finish(claimed, "b", State.ERROR, f"mysql://root:h%40nt3r@db/nexus said {PARAMETER}", None)
        forms = (repr(PARAMETER)[1:-1], json.dumps(PARAMETER)[1:-1], json.dumps(PARAMETER, ensure_ascii=False)[1:-1])
        return (
            PARAMETER, *forms, quote(PARAMETER), "s3cr", OLDER, VARIABLE, quote(VARIABLE, safe=""), "facility-wide",
            "of-the-services", "h%40nt3r", "h@nt3r", "p@ss/word", TOKEN, "open-sesame", "private-5ca1ab1e", "key=1",
            "abcdef123", "not-marked-as-one", "of-a-status",
        )  # fmt: skip

    def test_none_is_in_it(self, planted: tuple[str, ...], tmp_path: Path) -> None:
        path = tmp_path / "out.zip"
        done = bundle(path)
        for name, data in content(path).items():
            for one in planted:
                assert one.encode() not in data, (one, name)
        assert not any(one in done.out + done.err for one in planted)
        assert content(path).keys() == FILES
        # What is not secret is still there.
        text = content(path)["log.jsonl"].decode()
        assert "connecting to mysql://root:*****@db/nexus" in text
        assert "login with password=*****, user=jane" in text
        assert "sent with *****, before with *****" in text

    def test_the_databases_own_password(self, mariadb: MariaDB, mariadb_url: str, tmp_path: Path) -> None:
        """In the variable that names it, percent-encoded; and decoded, in a line of log."""
        password = "p@ss:w/ord'"
        mariadb.execute("CREATE USER 'odd'@'127.0.0.1' IDENTIFIED BY %s", password)
        mariadb.execute("GRANT ALL ON *.* TO 'odd'@'127.0.0.1'")
        url = mariadb.url(mariadb_url.rpartition("/")[2], user="odd", password=password)
        app = app_on(url, tmp_path / "home")
        app.get_log("x").info("logging in as odd with %s, or %s", password, quote(password, safe=""))
        app.shutdown(30)
        done = bundle(tmp_path / "out.zip", NEXUSCORE_DATABASE=url)
        assert done.code in (0, 1)
        for data in content(tmp_path / "out.zip").values():
            assert password.encode() not in data
            assert quote(password, safe="").encode() not in data
        assert b"logging in as odd with *****, or *****" in content(tmp_path / "out.zip")["log.jsonl"]

    def test_secrets_of_another_database_cannot_be_known(self, embedded: Database, tmp_path: Path) -> None:
        """The configuration is away, and with it what would have to be masked: then nobody's words are passed on."""
        log(embedded, "nobody knows that xyzzy is a secret")
        path = tmp_path / "out.zip"
        done = bundle(path, NEXUSCORE_DATABASE_CONFIG="mysql://u:p@127.0.0.1:1/nothing")
        assert (done.code, "log.jsonl" in content(path)) == (3, False)
        assert all(b"xyzzy" not in data for data in content(path).values())


class TestRedaction:
    """Masking hits secrets and leaves the rest of a text readable."""

    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("mysql://nx:pw@db/nexus", "mysql://nx:*****@db/nexus"),
            ("mysql://nx@db/nexus answers", "mysql://nx@db/nexus answers"),
            ("https://ghp_token@example.org/x", "https://*****@example.org/x"),
            ("https://example.org/a?b=c#d e", "https://example.org/a?***** e"),
            ("Authorization: Bearer abcdefghij.klm", "Authorization: Bearer *****"),
            ("Authorization: Bearer abcdefg", "Authorization: Bearer *****"),
            ("{'Authorization': 'abc', 'x': 1}", "{'Authorization': '*****', 'x': 1}"),
            ("sent as bearer abcdefg, refused", "sent as bearer *****, refused"),
            ("curl -u bob:S3cr3tM https://x", "curl -u bob:***** https://x"),
            ("curl --user 'bob:S3cr3tM' https://x", "curl --user 'bob:*****' https://x"),
            ("mysqldump -u root --password S3cr3tM nexus", "mysqldump -u root --password ***** nexus"),
            ("Set-Cookie: sessionid=abc; Path=/\nnext", "Set-Cookie: *****\nnext"),
            ("{'Cookie': 'a=b; c=d', 'x': 1}", "{'Cookie': *****, 'x': 1}"),
            ("with sessionid=abc&csrftoken=d", "with sessionid=*****&csrftoken=*****"),
            ("the password is S3cr3tN, try it", "the password is *****, try it"),
            ("the password for jane was 'a b'", "the password for jane was *****"),
            ("the password is on-Fire.", "the password is *****"),
            ('Authorization: Digest username="a", response="b1c2"\nc', "Authorization: Digest *****\nc"),
            ("the password is wrong, and the cookie is too old", "the password is wrong, and the cookie is too old"),
            ("session 3090b35d of the standard-bearer", "session 3090b35d of the standard-bearer"),
            ('{"password": "a b", "user": "c"}', '{"password": *****, "user": "c"}'),
            ("api-key: 12345; x", "api-key: *****; x"),
            ("at 12:30 the token ring passed", "at 12:30 the token ring passed"),
            ("passive mode = on, compass: north", "passive mode = on, compass: north"),
            ("/home/jane/keys: nothing", "/home/jane/keys: nothing"),
        ],
    )
    def test_what_looks_like_a_secret(self, text: str, masked: str) -> None:
        assert Redactor([]).text(text) == masked

    def test_a_long_word_is_gone_through_once(self) -> None:
        """Not once more from each of its letters: that would take minutes."""
        assert Redactor([]).text("x" * 300_000) == "x" * 300_000

    def test_a_short_one_only_where_it_stands_alone(self) -> None:
        assert Redactor(["pw"]).text("the pw is 'pw', not pwd or cpw") == "the ***** is '*****', not pwd or cpw"

    def test_one_that_begins_like_another(self) -> None:
        assert Redactor(["secret", "secretary"]).text("secretary secret") == "***** *****"

    def test_secrets_in_objects_are_masked(self) -> None:
        found = Redactor(["hunter2"]).value(
            {"a": ["hunter2", 3, None], "hunter2": True, "token": "x", "p": {"password": {"datatype": "s", "value": 7}}}
            | {"Set-Cookie": "a=b", "authorization": "abc"}
        )
        assert found == {
            "a": ["*****", 3, None], "*****": True, "token": "*****",
            "p": {"password": {"datatype": "s", "value": "*****"}}, "Set-Cookie": "*****", "authorization": "*****",
        }  # fmt: skip

    def test_nothing_is_known(self) -> None:
        assert Redactor(["", "  "]).text("as it is") == "as it is"


class TestDefaultName:
    """Without a name, the archive says where and when it was made."""

    def test_in_the_current_folder(self, embedded: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from Tools import Doctor

        monkeypatch.chdir(tmp_path)
        assert Doctor.main(["--bundle"]) == 0
        (path,) = tmp_path.glob("*.zip")
        assert re.fullmatch(rf"nexuscore-{re.escape(os.uname().nodename)}-\d{{8}}-\d{{6}}\.zip", path.name)
