"""Credentials for destinations: read from the settings, put into requests, never shown."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from NexusCore.config import NamedConfiguration
from NexusCore.errors import EXIT_REFUSED, NexusError

if TYPE_CHECKING:
    import requests

Authorise = Callable[["requests.PreparedRequest"], "requests.PreparedRequest"]


class TokenUnusable(NexusError):
    """The token of {destination}, {where}, cannot be used: it has a character that no token has, such as the end
    of a line or a letter with an accent. Was exactly the token copied?
    """  # noqa: D205, D400  the message

    exit_code = EXIT_REFUSED


@dataclass(frozen=True, slots=True)
class Key:
    """What goes into the header ``Authorization``. The text of it doesn't show it."""

    value: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put it there."""
        request.headers["Authorization"] = self.value
        return request


def key_of(kind: str, config: NamedConfiguration, environment: Mapping[str, str] = os.environ) -> str:
    """Return the token of a destination: ``NEXUSCORE_<KIND>_TOKEN``, else its parameter, else an empty text.

    Parameters
    ----------
    kind
        Name of the destination.
    config
        Folder `Services.Uploader.<kind>` of the configuration.
    environment
        Environment variables.

    Raises
    ------
    TokenUnusable
        If it cannot stand in the header of a request, whose error would show it.
    """
    variable = f"NEXUSCORE_{kind.upper()}_TOKEN"
    for where, value in ((variable, environment.get(variable)), (f"Services.Uploader.{kind}.token", config["token"])):
        token = str(value or "").strip()
        if token and not (token.isascii() and token.isprintable()):
            raise TokenUnusable(destination=kind, where=where)
        if token:
            return token
    return ""


def without_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is: without anything here, requests looks for a password in the user's files."""
    return request
