"""A wire to a database server that can be cut, at a chosen word."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from types import TracebackType

from tests.logger.facility import LIMIT


class Wire:
    """Hands bytes on between clients and a server on this machine.

    `cut_after` names a word: once a client has said it, the server still hears it, but its answer is lost with the
    connection. `dead` refuses everybody.
    """

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cut_after = b""
        self.dead = False

    def __enter__(self) -> Wire:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server, LIMIT) as server, suppress(OSError):
            while not self.dead:
                ready, _, _ = select.select([client, server], [], [], LIMIT)
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (server if one is client else client).sendall(data)
                    if one is client and self.cut_after and self.cut_after in data.upper():
                        self.dead = True
                        server.recv(65536)  # the server has done what it was told
                        return
