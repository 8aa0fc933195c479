"""A CDCS as its readers see it, and an Uploader's settings for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from NexusCore.facility import Record
from tests.peers.servers import PeerServer
from tests.services.uploading import Facility

SECONDS = 60.0
PUBLIC = 1
"""Id of the workspace that everybody may read."""


@dataclass(frozen=True)
class Reader:
    """Looks into a CDCS, past the Uploader."""

    server: PeerServer

    def ask(self, path: str, user: str | None = "nexus", method: str = "GET", **more: Any) -> requests.Response:
        """Ask as one of its users, or as nobody."""
        token = {"Authorization": f"Token {self.server.tokens[user]}"} if user else {}
        return requests.request(
            method, f"{self.server.url}/rest/{path}", headers=token, timeout=SECONDS, allow_redirects=False, **more
        )

    def copies(self, title: str) -> list[dict[str, Any]]:
        """Return all records of a title that the uploading user has."""
        found: list[dict[str, Any]] = self.ask("data/", params={"title": title}).json()["results"]
        return found

    def one(self, record: Record) -> dict[str, Any]:
        """Return the one copy that is there of a record."""
        (found,) = self.copies(record.title)
        return found

    def blobs(self) -> list[dict[str, Any]]:
        """Return all files that the uploading user has."""
        found: list[dict[str, Any]] = self.ask("blob/").json()
        return found


def send_to(facility: Facility, server: PeerServer, url: str | None = None, **settings: object) -> None:
    """Have the Uploader send records as they are to a CDCS, without waits between attempts."""
    facility.config["Services.Uploader.destinations"] = "cdcs"
    usual = {"url": url or server.url, "token": server.tokens["nexus"], "first_wait": 0.0, "layout": "plain"}
    reported = {**usual, **settings}
    for name, value in reported.items():
        facility.config[f"Services.Uploader.cdcs.{name}"] = value  # type: ignore[assignment]  # what a test gives


def preview_of(record: Record) -> Path:
    """Return the preview of a record that a facility of the tests has built."""
    return Path(record.path).with_suffix(".files") / "a.png"
