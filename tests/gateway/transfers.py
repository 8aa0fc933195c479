"""A PC that transfers files, as a session logger does, to stores of all kinds."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import requests

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import ConfigStore, Edit, Origin
from NexusCore.storage import open_database
from tests.gateway.gateways import PC, RunningGateway, Started, event_body
from tests.processes import LIMIT, eventually

CHUNK = 256 * 1024
"""Of the Gateways of these tests; S3 has larger parts."""
MODIFIED = "2026-11-29T08:15:30.123456+00:00"


def set_parameters(url: str, **values: Any) -> None:
    """Set parameters by their whole path, dots written as two underscores; as somebody else."""
    database = open_database(url)
    store = ConfigStore(database, SYSTEM_CLOCK)
    edits = [Edit(name.replace("__", "."), value=value) for name, value in values.items()]
    store.apply(store.version_id("default"), "default", edits, Origin("jane", "desk", "test", "to begin with"))
    database.close()


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def base64_md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


class Backing(Protocol):
    """Where a store of a test keeps its files, as far as tests look there."""

    def parameters(self, pid: str) -> dict[str, Any]:
        """Return the parameters of an instrument whose files go there."""
        ...

    def prefix(self, pid: str) -> str:
        """Return what the names of the instrument's objects begin with."""
        ...

    def get(self, name: str) -> bytes | None:
        """Return the content of an object, by its name in the store."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Change an object behind the back of the store, or put one there."""
        ...

    def remove(self, name: str) -> None: ...


@dataclass
class Directory:
    """A directory, the folder of the instrument's files."""

    root: Path

    def parameters(self, pid: str) -> dict[str, Any]:
        return {f"Instruments__{pid}__filestore_path": str(self.root)}

    def prefix(self, pid: str) -> str:
        return ""

    def get(self, name: str) -> bytes | None:
        path = self.root / name
        return path.read_bytes() if path.is_file() else None

    def put(self, name: str, data: bytes) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()


@dataclass
class Bucket(Backing):
    """A bucket of a server that keeps its files in a folder."""

    kind: str
    endpoint: str
    folder: Path
    """Of the bucket."""
    credentials: str = ""

    def parameters(self, pid: str) -> dict[str, Any]:
        place = "Services__Gateway__stores__bucket"
        return {
            f"Instruments__{pid}__transfer__store": "bucket",
            f"{place}__kind": self.kind,
            f"{place}__bucket": self.folder.name,
            f"{place}__prefix": "em/files",
            f"{place}__endpoint": self.endpoint,
            f"{place}__credentials": self.credentials,
        }

    def prefix(self, pid: str) -> str:
        return f"{pid}/"

    def get(self, name: str) -> bytes | None:
        path = self.folder / "em/files" / name
        return path.read_bytes() if path.is_file() else None


class GoogleBucket(Bucket):
    """The emulator knows of objects that have been put there by its own interface."""

    def _blob(self, name: str) -> Any:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        options = {"api_endpoint": self.endpoint}
        client = Client(project="none", credentials=AnonymousCredentials(), client_options=options)
        return client.bucket(self.folder.name).blob(f"em/files/{name}")

    def put(self, name: str, data: bytes) -> None:
        path = self.folder / "em/files" / name
        if path.is_file() and path.stat().st_size == len(data):
            path.write_bytes(data)  # as a disk does that loses bits
        else:
            self._blob(name).upload_from_string(data)

    def remove(self, name: str) -> None:
        self._blob(name).delete()


class S3Bucket(Bucket):
    """Rclone remembers for a while which files there are, so that they are made and removed by its own interface."""

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required")
        session = boto3.session.Session(aws_access_key_id="key", aws_secret_access_key="geheim")
        return session.client("s3", region_name="us-east-1", endpoint_url=self.endpoint, config=config)

    def put(self, name: str, data: bytes) -> None:
        path = self.folder / "em/files" / name
        if path.is_file() and path.stat().st_size == len(data):
            path.write_bytes(data)
        else:
            self._client().put_object(Bucket=self.folder.name, Key=f"em/files/{name}", Body=data)

    def remove(self, name: str) -> None:
        self._client().delete_object(Bucket=self.folder.name, Key=f"em/files/{name}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def google_server(folder: Path) -> Iterator[Bucket]:
    """Run the emulator of Google Cloud Storage, with one bucket."""
    port = free_port()
    program = (
        "import sys; from gcp_storage_emulator.server import create_server\n"
        "create_server('127.0.0.1', int(sys.argv[1]), default_bucket='em-data', data_dir=sys.argv[2]).run()"
    )
    with _served([sys.executable, "-c", program, str(port), str(folder)], folder, port):
        yield GoogleBucket("google", f"http://127.0.0.1:{port}", folder / ".cloudstorage" / "em-data")


@contextmanager
def s3_server(folder: Path) -> Iterator[Bucket]:
    """Run rclone's S3 server, with one bucket."""
    port = free_port()
    bucket = folder / "served" / "em-data"
    bucket.mkdir(parents=True)
    credentials = folder / "s3.ini"
    credentials.write_text("[default]\naws_access_key_id = key\naws_secret_access_key = geheim\n")
    credentials.chmod(0o600)
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent)) or "rclone"
    command = [
        rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", "key,geheim",
        "--config", str(folder / "rclone.conf"), str(bucket.parent),
    ]  # fmt: skip
    with _served(command, folder, port):
        yield S3Bucket("s3", f"http://127.0.0.1:{port}", bucket, str(credentials))


@contextmanager
def _served(command: list[str], folder: Path, port: int) -> Iterator[None]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    try:
        eventually(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None, (folder / "server.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(LIMIT)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def transferring(gateway: RunningGateway, backing: Backing, pid: str | None = None, **settings: Any) -> Sender:
    """Return a PC with a session whose files go to a store."""
    pc = gateway.pc(*([pid] if pid else []))
    pid = pc.pids[0]
    values = {"on": True, "folders__raw": "D:/Data", **settings}
    parameters = {f"Instruments__{pid}__transfer__{name}": value for name, value in values.items()}
    set_parameters(gateway.main, **parameters, **backing.parameters(pid))
    eventually(lambda: pc.get(f"instruments/{pid}").json().get("transfer", {}).get("on"))
    return Sender(pc, pc.start(pid), backing)


@dataclass
class Sender:
    """A session that transfers files."""

    pc: PC
    session: Started
    backing: Backing
    token: bool = True
    """Whether the session's token is sent."""

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request about the session, or about `path` from ``/``."""
        headers = {**self.pc.headers, **more.pop("headers", {})}
        if self.token:
            headers.setdefault("NexusCore-Session-Token", self.session.token)
        url = f"{self.pc.gateway.url}/v1/sessions/{self.session.identifier}/{path}"
        return requests.request(method, url, headers=headers, timeout=LIMIT, **more)

    @property
    def store(self) -> str:
        return "bucket" if isinstance(self.backing, Bucket) else ""

    @property
    def prefix(self) -> str:
        return self.backing.prefix(self.pc.pids[0])

    def report(self, *files: dict[str, Any]) -> requests.Response:
        return self.call("POST", "files", json={"files": list(files)})

    def begin(self, path: str, data: bytes, **more: Any) -> requests.Response:
        body = {"folder": "raw", "path": path, "size": len(data), "md5": md5(data), "modified": MODIFIED, **more}
        return self.call("POST", "uploads", json=body)

    def begun(self, path: str, data: bytes, **more: Any) -> dict[str, Any]:
        answer = self.begin(path, data, **more)
        assert answer.status_code == 200, answer.text
        return self.settled(answer.json())

    def look(self, upload: str) -> requests.Response:
        return self.call("GET", f"uploads/{upload}")

    def settled(self, view: dict[str, Any]) -> dict[str, Any]:
        """Return an upload when nothing is being done with it any more."""

        def now() -> dict[str, Any] | None:
            answer = self.look(view["upload"])
            assert answer.status_code == 200, answer.text
            return answer.json() if answer.json()["state"] != "checking" else None

        return view if view["state"] != "checking" else eventually(now)

    def chunk(self, upload: str, offset: int, data: bytes, digest: str | None = None) -> requests.Response:
        headers = {"Content-MD5": digest or base64_md5(data), "Content-Type": "application/octet-stream"}
        return self.call("PUT", f"uploads/{upload}/chunk", params={"offset": offset}, data=data, headers=headers)

    def send_bytes(self, view: dict[str, Any], data: bytes, until: int | None = None) -> None:
        """Send what the store does not have yet, up to a number of bytes."""
        until = len(data) if until is None else until
        if view["kind"] == "chunks":
            for offset in range(view["received"], until, view["chunk_size"]):
                piece = data[offset : min(until, offset + view["chunk_size"])]
                answer = self.chunk(view["upload"], offset, piece)
                assert (answer.status_code, answer.json()) == (200, {"received": offset + len(piece)}), answer.text
        elif view["kind"] == "google":
            self._to_google(view, data, until)
        else:
            self._to_s3(view, data, until)

    def _to_google(self, view: dict[str, Any], data: bytes, until: int) -> None:
        for offset in range(view["received"], until, view["chunk_size"]):
            piece = data[offset : min(until, offset + view["chunk_size"])]
            span = f"bytes {offset}-{offset + len(piece) - 1}/{len(data)}"
            answer = requests.put(view["address"], data=piece, headers={"Content-Range": span}, timeout=LIMIT)
            last = offset + len(piece) == len(data)
            assert answer.status_code == (200 if last else 308), answer.text

    def _to_s3(self, view: dict[str, Any], data: bytes, until: int) -> None:
        size = view["chunk_size"]
        there = {part["number"] for part in view["parts"]}
        for number, offset in enumerate(range(0, until, size), 1):
            if number in there:
                continue
            piece = data[offset : offset + size]
            body = {"number": number, "size": len(piece), "md5": base64_md5(piece)}
            signed = self.call("POST", f"uploads/{view['upload']}/parts", json=body)
            assert signed.status_code == 200, signed.text
            answer = requests.put(signed.json()["url"], data=piece, headers=signed.json()["headers"], timeout=LIMIT)
            assert answer.status_code == 200, answer.text

    def complete(self, upload: str) -> requests.Response:
        """Complete an upload, and wait for the result."""
        answer = self.call("POST", f"uploads/{upload}/complete", json={})
        if answer.status_code == 200 and answer.json()["state"] == "checking":
            return eventually(
                lambda: (
                    (now := self.look(upload)) and (now.status_code != 200 or now.json()["state"] != "checking") and now
                )
            )
        return answer

    def send(self, path: str, data: bytes, **more: Any) -> dict[str, Any]:
        """Send a whole file; return its upload."""
        view = self.begun(path, data, **more)
        if view["state"] == "open":
            self.send_bytes(view, data)
            answer = self.complete(view["upload"])
            assert answer.status_code == 200, answer.text
            view = answer.json()
        assert view["state"] == "verified", view
        return view

    def files(self, **parameters: Any) -> dict[str, Any]:
        answer = self.call("GET", "files", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def state(self, path: str) -> str:
        return next(file["state"] for file in self.files()["files"] if file["path"] == path)

    def end(self, **more: Any) -> requests.Response:
        return self.session.post("end", transfers=True, **more)

    def transferred(self, files: int, request: str | None = None, **more: Any) -> requests.Response:
        return self.pc.post(
            f"sessions/{self.session.identifier}/transferred",
            event_body(files=files, **more),
            request or str(uuid.uuid4()),
            self.session.token,
        )

    def problems(self) -> list[str]:
        answer = self.pc.get(f"sessions/{self.session.identifier}")
        return [event["text"] for event in answer.json()["events"] if event["type"] == "PROBLEM"]


def _unless_checking(answer: requests.Response) -> tuple[requests.Response] | None:
    # In a tuple, since an answer that refuses is false.
    return None if answer.status_code == 200 and answer.json()["state"] == "checking" else (answer,)


def reported(path: str, data: bytes = b"x", state: str = "waiting", **more: Any) -> dict[str, Any]:
    return {"folder": "raw", "path": path, "size": len(data), "modified": MODIFIED, "state": state, **more}
