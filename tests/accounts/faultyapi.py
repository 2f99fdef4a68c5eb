"""An HTTP API that misbehaves: what no real server can be told to do at the right moment."""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure


class FaultyAPI(Factory):
    """Answers each request with what `answer` makes of the command, or does as it says.

    Attributes:
        answer: gets the command's name; returns bytes to send, or one of `HANG` and `CUT`.
        commands: what was asked for, in its order.
        arguments: what came with each command.
        hosts: what the requests name as their host.
    """

    HANG, CUT = "hang", "cut"

    def __init__(self, answer: Callable[[str], bytes | str]) -> None:
        self.answer = answer
        self.commands: list[str] = []
        self.arguments: list[dict[str, Any]] = []
        self.hosts: list[str] = []
        self.open: list[Protocol] = []

    def buildProtocol(self, _address: Any) -> Protocol:
        return _Faulty(self)


class _Faulty(Protocol):
    def __init__(self, api: FaultyAPI) -> None:
        self._api = api
        self._read = b""

    def connectionMade(self) -> None:
        self._api.open.append(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._api.open.remove(self)

    def dataReceived(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        length = next(
            (line for line in head.lower().split(b"\r\n") if b"content-length" in line), b"0:0"
        )
        if not end or len(body) < int(length.partition(b":")[2]):
            return
        self._read = b""
        command = head.split()[1].rpartition(b"/")[2].decode()
        self._api.commands.append(command)
        self._api.arguments.append(json.loads(body))
        self._api.hosts += [
            line.partition(b":")[2].strip().decode()
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"host:")
        ]
        answer = self._api.answer(command)
        if isinstance(answer, bytes):
            self.transport.write(answer)
        elif answer == FaultyAPI.CUT:
            self.transport.abortConnection()


def response(body: str, status: int = 200, *, length: int | None = None) -> bytes:
    """A response as bytes; ``length`` is what it claims instead of what it has."""
    size = len(body.encode()) if length is None else length
    return f"HTTP/1.1 {status} X\r\nContent-Length: {size}\r\n\r\n{body}".encode()
