"""The server's HTTP with a bound on what comes before a body, and on how long it may take.

The server keeps a request's line and headers until they are whole, however long they are, and whoever can connect may
send them: no key is known yet. 44 MB of small headers held 400 MB of memory. Nor does it ever give up waiting for them,
or for the end of a body that was answered already, and a process may have some thousand connections only.
"""

from __future__ import annotations

from asyncio import BaseTransport, TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30

_PROBLEM = b'{"type":"/problems/http-error","title":"Http error","status":431,"detail":"The headers are too long."}'
_ANSWER = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


class BoundedHttp(HttpToolsProtocol):
    """Ends a connection on which over MAX_HEAD_BYTES came without a whole head or a part of a body: an endless address,
    header, trailer or chunk extension. What comes at once is read at once, so a head may be one read longer.

    Ends a connection, too, on which HEAD_SECONDS after it was made, or after the last answer, no whole head has come.
    """

    transport: Transport
    _pending_bytes = 0
    _patience: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._pending_bytes += len(data)
        super().data_received(data)
        if self._pending_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_ANSWER)
            self.transport.close()

    def on_headers_complete(self) -> None:
        self._pending_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # no request that came meanwhile is being answered
            self._wait_for_head()
