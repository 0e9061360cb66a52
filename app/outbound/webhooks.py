"""Signs and posts one message (Standard Webhooks): what came of it is a value, never an exception.

    webhook-id: msg_..                  the same at every try
    webhook-timestamp: 1793491800       of this try, in seconds
    webhook-signature: v1,K5oZ.. v1,..  HMAC-SHA256 of "id.timestamp.body", once for each secret in force

No redirect is followed: it could lead anywhere. Neither is a proxy asked.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from app import VERSION
from app.domain.deliveries import Outcome
from app.outbound.destinations import Destinations, Refused, Target

_MOST_READ_BYTES = 4_096
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Post:
    """One message to one URL."""

    url: str
    message_id: str
    payload: str
    secrets: tuple[str, ...] = field(repr=False)


def signatures(post: Post, *, at: datetime) -> str:
    """The value of `webhook-signature` for a try at that moment."""
    signed = f"{post.message_id}.{int(at.timestamp())}.{post.payload}".encode()
    digests = (hmac.digest(_key(secret), signed, sha256) for secret in post.secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


class Poster:
    """Posts to what `destinations` allow; each try has `seconds` from the connection to the end of the answer."""

    def __init__(self, destinations: Destinations, *, seconds: float) -> None:
        self._destinations = destinations
        self._seconds = seconds
        self._tls = ssl.create_default_context()

    def post(self, post: Post, *, at: datetime) -> Outcome:
        """2xx is taken; all else is not, and says why in a sentence for the log of deliveries."""
        headers = {
            "content-type": "application/json", "user-agent": f"Quotepart/{VERSION}", "connection": "close",
            "webhook-id": post.message_id, "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signatures(post, at=at),
        }  # fmt: skip
        try:
            target, addresses = self._destinations.resolved(post.url)
            with self._answered(target, addresses, post.payload.encode(), headers) as answer:
                return _outcome(answer)
        except Refused as error:
            return Outcome(error=f"not sent: {error}")
        except (OSError, http.client.HTTPException) as error:
            return Outcome(error=_told(error, self._seconds))

    @contextmanager
    def _answered(
        self, target: Target, addresses: Sequence[str], body: bytes, headers: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer, as far as its head; the connection is gone afterwards."""
        connection = http.client.HTTPConnection(target.host, target.port)
        with self._connected(target, addresses) as connection.sock:
            connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"host": target.host_header, "content-length": str(len(body)), **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            yield connection.getresponse()

    @contextmanager
    def _connected(self, target: Target, addresses: Sequence[str]) -> Iterator[socket.socket]:
        """A connection to the first of the addresses that answers. It is cut off when the time is over: a limit for
        each piece would let a receiver go on for ever, one byte at a time."""
        connection = _first_connection(addresses, target.port, self._seconds)
        if target.scheme == "https":
            connection = self._tls.wrap_socket(connection, server_hostname=target.host, do_handshake_on_connect=False)
        is_cut = threading.Event()
        timer = threading.Timer(self._seconds, _cut, (connection, is_cut))
        timer.daemon = True
        timer.start()
        try:
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            yield connection
        except (OSError, http.client.HTTPException):
            if not is_cut.is_set():
                raise
        finally:
            timer.cancel()
            connection.close()
        if is_cut.is_set():
            # What was read until then looks like an answer that has ended.
            raise TimeoutError


def _first_connection(addresses: Sequence[str], port: int, seconds: float) -> socket.socket:
    """To one of the addresses, each given an equal part of the time."""
    problem: OSError = OSError("there is no address")
    for address in addresses:
        try:
            connection = socket.create_connection((address, port), timeout=seconds / len(addresses))
        except OSError as error:
            problem = error
            continue
        connection.settimeout(seconds)
        return connection
    raise problem


def _cut(connection: socket.socket, is_cut: threading.Event) -> None:
    is_cut.set()
    with suppress(OSError):  # it is closed already
        # Not the method of the TLS connection: it would take away what the thread that waits is reading with.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _outcome(answer: http.client.HTTPResponse) -> Outcome:
    if 200 <= answer.status < 300:
        return Outcome(answer.status)
    said = answer.read(_MOST_READ_BYTES).decode("utf-8", "replace")
    shown = "".join(char if char.isprintable() else " " for char in said).strip()[:_SHOWN_CHARACTERS]
    error = f"answered {answer.status}" + (f": {shown}" if shown else "")
    if 300 <= answer.status < 400:
        error = f"answered {answer.status}: redirects are not followed"
    return Outcome(answer.status, error, answer.getheader("retry-after", "")[:100])


def _told(error: Exception, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {seconds:g} seconds"
    if isinstance(error, socket.gaierror):
        return f"the name of the host is not known: {error.strerror}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {error.verify_message}"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return f"no answer that can be read: {type(error).__name__}"
