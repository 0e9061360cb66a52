"""Hands one message to the operator's mail server: what came of it is a value, never an exception."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

from app.domain.deliveries import Outcome

_PATIENCE_SECONDS = 30
_PERMANENT = 500


@dataclass(frozen=True, slots=True)
class Letter:
    """A document on its way to one recipient. `message_id` is the same at every try, and so is the rest."""

    message_id: str
    sender_name: str
    reply_to: str
    recipient: str
    written_at: datetime
    subject: str
    body: str
    language: str
    attachment: bytes
    file_name: str


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, how, and from which address it comes."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)

    def send(self, letter: Letter) -> Outcome:
        """Taken where the server has said so for the whole message. What it refuses for good is final."""
        message = _composed(letter, self.sender)
        try:
            with self._session() as session:
                session.send_message(message, self.sender, [letter.recipient])
        except smtplib.SMTPAuthenticationError as error:
            return _refused(error.smtp_code, error.smtp_error, is_final=False)  # the operator mends it
        except smtplib.SMTPRecipientsRefused as error:
            code, said = error.recipients[letter.recipient]
            return _refused(code, said, is_final=code >= _PERMANENT)
        except smtplib.SMTPResponseException as error:
            # A greeting that refuses says something about the moment, not about the message.
            greeted = not isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPHeloError)
            return _refused(error.smtp_code, error.smtp_error, is_final=greeted and error.smtp_code >= _PERMANENT)
        except ssl.SSLCertVerificationError as error:
            return Outcome(error=f"the certificate of the mail server is not valid: {error.verify_message}")
        except (OSError, smtplib.SMTPException) as error:
            return Outcome(error=f"the mail server cannot be used: {error}"[:300])
        return Outcome(250)

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context()
        if self.tls == "tls":
            session: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=_PATIENCE_SECONDS, context=context)
        else:
            session = smtplib.SMTP(self.host, self.port, timeout=_PATIENCE_SECONDS)
        try:
            if self.tls == "starttls":
                session.starttls(context=context)
            if self.user:
                session.login(self.user, self.password)
            yield session
            # The message is the server's by now: that the farewell fails says nothing about it.
            with suppress(OSError, smtplib.SMTPException):
                session.quit()
        finally:
            session.close()


def _refused(code: int, said: bytes | str, *, is_final: bool) -> Outcome:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    shown = "".join(char if char.isprintable() else " " for char in text)[:200]
    return Outcome(code, f"the mail server answered {code}: {shown}", is_final=is_final)


def _composed(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = f"<{letter.message_id}@{sender.rpartition('@')[2]}>"
    message["Date"] = format_datetime(letter.written_at)
    message["From"] = Address(letter.sender_name, addr_spec=sender)
    message["To"] = Address(addr_spec=letter.recipient)
    if letter.reply_to:
        message["Reply-To"] = Address(addr_spec=letter.reply_to)
    message["Subject"] = letter.subject
    # No machine is to answer to it (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.body)
    message.add_attachment(letter.attachment, maintype="application", subtype="pdf", filename=letter.file_name)
    # Only now: what is said of the content goes to each part as the parts are put together.
    message["Content-Language"] = letter.language
    return message
