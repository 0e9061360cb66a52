"""A mail server on this machine, that answers as a test wants and keeps what it was given."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass(frozen=True)
class Mail:
    """One message as it came."""

    sender: str
    recipients: list[str]
    message: EmailMessage

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        assert part is not None
        return str(part.get_content())

    @property
    def pdf(self) -> tuple[str | None, bytes]:
        (part,) = self.message.iter_attachments()
        assert part.get_content_type() == "application/pdf"
        return part.get_filename(), part.get_content()


@dataclass
class Postbox:
    """`on_recipient` and `on_data` are the lines that are answered at those moments."""

    port: int = 0
    on_recipient: Callable[[str], str] = lambda _: "250 OK"
    on_data: Callable[[], str] = lambda: "250 OK"
    got: list[Mail] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        answer = self.on_recipient(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        answer = self.on_data()
        if answer.startswith("250"):
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.got.append(Mail(envelope.mail_from, list(envelope.rcpt_tos), message))
        return answer

    def authenticate(self, _server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"right", handled=False)


@contextmanager
def postbox(tls: ssl.SSLContext | None = None, **options: Any) -> Iterator[Postbox]:
    box = Postbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        box.port = probe.getsockname()[1]
    controller = Controller(box, "127.0.0.1", box.port, tls_context=tls, **options)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
