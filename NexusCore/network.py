"""Shared by all that talk to other systems: logins, and the cause of an error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password. The text of it doesn't show the password."""

    user: str
    password: str = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Log in to a request (basic authentication)."""
        from requests.auth import HTTPBasicAuth

        HTTPBasicAuth(self.user.encode(), self.password.encode())(request)
        return request


def login_of(kind: str, environment: Mapping[str, str] = os.environ) -> Login | None:
    """Return the login for a kind of source or destination, or None.

    Parameters
    ----------
    kind
        Such as ``nemo``.
    environment
        Variables: ``NEXUSCORE_<KIND>_USER`` and ``_PASSWORD``, or else ``nexusLIMS_user`` and ``nexusLIMS_pass``.
    """
    own = f"NEXUSCORE_{kind.upper()}"
    for user, password in ((f"{own}_USER", f"{own}_PASSWORD"), ("nexusLIMS_user", "nexusLIMS_pass")):
        if environment.get(user) and environment.get(password):
            return Login(environment[user], environment[password])
    return None


def cause_of(error: BaseException) -> str:
    """Return the message of the innermost error of a connection: those around it repeat the address."""
    cause: BaseException = error
    for _ in range(20):
        inner = cause.__cause__ or cause.__context__ or getattr(cause, "reason", None)
        inner = inner or next((argument for argument in cause.args if isinstance(argument, Exception)), None)
        if not isinstance(inner, BaseException):
            break
        cause = inner
    message = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
    return message or (str(cause) if isinstance(cause, (OSError, HTTPException)) else type(cause).__name__)
