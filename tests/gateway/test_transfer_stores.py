"""What `--once` says of the settings of transfer and stores, and what becomes of a key that was replaced."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from NexusCore.facility.stores.directory import UPLOADS
from tests.gateway.gateways import RunningGateway
from tests.gateway.test_gateway_refusals import refused
from tests.gateway.transfers import CHUNK, Directory, s3_server, set_parameters, transferring
from tests.processes import LIMIT, PROJECT, environment_of, eventually, rows

STORE = """
    SELECT l.value FROM status_latest l
      JOIN status_item i ON i.id = l.item_id
      JOIN status_channel c ON c.id = i.channel_id
     WHERE c.name = 'Gateway' AND i.name LIKE 'store %'
"""
ASKING_OFTEN = """
import sys
from NexusCore.service import main
from Services.Gateway import verifying
from Services.Gateway.service import Gateway

verifying.CHECK_SECONDS = 0.2
sys.exit(main(Gateway, []))
"""


def once(url: str, folder: Path) -> tuple[int, str]:
    """Return what checking the settings answers."""
    done = subprocess.run(
        [sys.executable, "-m", "Services.Gateway", "--once"], cwd=PROJECT, env=environment_of(url, folder),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert (done.returncode == 0) == ("The settings are right" in done.stderr), done.stderr
    return done.returncode, done.stderr


def s3(endpoint: str, credentials: Path) -> dict[str, Any]:
    """Return the parameters of an instrument whose files go to a bucket."""
    credentials.write_text("[default]\naws_access_key_id = key\naws_secret_access_key = geheim\n")
    credentials.chmod(0o600)
    place = "Services__Gateway__stores__bucket"
    return {
        "Instruments__T__transfer__on": True,
        "Instruments__T__transfer__folders__raw": "D:/Data",
        "Instruments__T__transfer__store": "bucket",
        f"{place}__kind": "s3",
        f"{place}__bucket": "em-data",
        f"{place}__endpoint": endpoint,
        f"{place}__credentials": str(credentials),
    }


@contextmanager
def web_page() -> Iterator[str]:
    """Lend the address of a server that has the same page for everything."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html><body>Welcome</body></html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(LIMIT)


class TestOnce:
    """Settings with which no file would be taken are not called right."""

    def test_without_folders(self, sqlite_url: str, tmp_path: Path) -> None:
        set_parameters(sqlite_url, Instruments__T__transfer__on=True)
        code, said = once(sqlite_url, tmp_path)
        assert code != 0
        assert "Instruments.T.transfer.on is set, but Instruments.T.transfer.folders names no folder" in said

    def test_a_key_that_others_may_read(self, sqlite_url: str, tmp_path: Path) -> None:
        key = tmp_path / "s3.ini"
        set_parameters(sqlite_url, **s3("http://127.0.0.1:9", key))
        key.chmod(0o644)
        code, said = once(sqlite_url, tmp_path)
        assert (code, f"other users may read or change {key}; run: chmod 600 {key}" in said) == (1, True), said

    def test_a_server_that_is_none(self, sqlite_url: str, tmp_path: Path) -> None:
        with web_page() as address:
            set_parameters(sqlite_url, **s3(address, tmp_path / "s3.ini"))
            code, said = once(sqlite_url, tmp_path)
        assert (code, "what answers is not an S3 server" in said) == (1, True), said

    def test_a_folder_that_is_not_mounted(self, sqlite_template: Path, tmp_path: Path) -> None:
        """Before there are files, the check leaves it to the Gateway to make its hidden folder."""
        shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
        root = tmp_path / "store"
        root.mkdir()
        running = RunningGateway(f"sqlite:///{tmp_path}/nexus.db", tmp_path, chunk_size=CHUNK)
        try:
            sender = transferring(running, Directory(root))
            assert once(running.main, tmp_path)[0] == 0
            assert list(root.iterdir()) == []
            sender.send("a.dm4", b"content")
            assert once(running.main, tmp_path)[0] == 0
            (root / UPLOADS).rmdir()
            code, said = once(running.main, tmp_path)
            assert (code, "it seems that its file system is not mounted" in said) == (1, True), said
            assert not (root / UPLOADS).exists()
        finally:
            running.close()


class TestStoresInTheStatus:
    """The Gateway asks the stores in use whether they can be used, and shows what they say."""

    def test_one_that_goes_away_and_out_of_use(self, sqlite_template: Path, tmp_path: Path) -> None:
        shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
        root = tmp_path / "store"
        root.mkdir()
        running = RunningGateway(f"sqlite:///{tmp_path}/nexus.db", tmp_path, ASKING_OFTEN, chunk_size=CHUNK)

        def shown() -> str:
            found = rows(running.main, STORE)
            return str(found[0][0]) if found else ""

        try:
            pid = transferring(running, Directory(root)).pc.pids[0]
            eventually(lambda: shown() == "ok")
            root.rename(tmp_path / "elsewhere")
            eventually(lambda: "No such file or directory" in shown())
            set_parameters(running.main, **{f"Instruments__{pid}__transfer__on": False})
            eventually(lambda: shown() == "not in use")
        finally:
            running.close()


class TestAKeyThatWasReplaced:
    def test_it_is_used_at_once(self, sqlite_template: Path, tmp_path: Path) -> None:
        """The Gateway is not restarted, and its settings stay the same."""
        shutil.copyfile(sqlite_template, tmp_path / "nexus.db")
        running = RunningGateway(f"sqlite:///{tmp_path}/nexus.db", tmp_path, chunk_size=CHUNK)
        try:
            with s3_server(tmp_path) as bucket:
                key = Path(bucket.credentials)
                right = key.read_text()
                key.write_text(right.replace("geheim", "falsch"))
                sender = transferring(running, bucket)
                eventually(lambda: sender.begin("a.dm4", b"content").status_code == 503)
                refused(sender.begin("a.dm4", b"content"), 503, "store-away")
                key.write_text(right)
                assert sender.send("a.dm4", b"content")["state"] == "verified"
        finally:
            running.close()


def test_a_size_of_chunks_that_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    """Already where it is set, not when the Gateway begins."""
    assert once(sqlite_url, tmp_path)[0] == 0  # it makes its settings
    for size, code in ((1_000_000, 4), (2 * CHUNK, 0)):
        done = subprocess.run(
            [sys.executable, "-m", "Tools.ConfigTool", f"Services.Gateway.chunk_size={size}"], cwd=PROJECT,
            env=environment_of(sqlite_url, tmp_path), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert ("it must be one of 262144, 524288, " in done.stderr) == bool(code), done.stderr
