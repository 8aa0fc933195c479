"""Credentials for destinations: where they are from, how they go into a request, and that they are never shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from NexusCore.config import NamedConfiguration

if TYPE_CHECKING:
    import requests

Authorise = Callable[["requests.PreparedRequest"], "requests.PreparedRequest"]


@dataclass(frozen=True, slots=True)
class Key:
    """What goes into the header ``Authorization``. The text of it doesn't show it."""

    value: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put it there."""
        request.headers["Authorization"] = self.value
        return request


def key_of(kind: str, config: NamedConfiguration, environment: Mapping[str, str] = os.environ) -> str:
    """Return the token of a destination: ``NEXUSCORE_<KIND>_TOKEN``, else its parameter, else an empty text."""
    return environment.get(f"NEXUSCORE_{kind.upper()}_TOKEN", "").strip() or str(config["token"] or "").strip()


def as_nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is: without anything here, requests looks for a password in the user's files."""
    return request
