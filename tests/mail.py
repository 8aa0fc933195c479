"""A real mail server on the loopback interface, and one that never answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


class Mailbox:
    """Keeps what the server receives; `hold` makes it wait before it takes a mail."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.receivers: list[list[str]] = []
        self.hold = threading.Event()
        self.hold.set()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  the library's name
        while not self.hold.is_set():
            await asyncio.sleep(0.005)
        self.receivers.append(envelope.rcpt_tos)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def texts(self) -> list[str]:
        return [mail.get_content() for mail in self.mails]


@contextmanager
def mail_server() -> Iterator[tuple[str, Mailbox]]:
    """Run a server; hand out its host:port and what it receives."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"127.0.0.1:{port}", mailbox
    finally:
        mailbox.hold.set()
        controller.stop()


@contextmanager
def silent_server() -> Iterator[str]:
    """Listen, and never answer; hand out host:port."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
