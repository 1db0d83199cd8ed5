"""A mail server's mailbox, for tests and for programs that know no Django."""

import email
from email.message import Message
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """What the server was sent, by connection; it answers as `replies` says for a recipient."""

    def __init__(self) -> None:
        self.received: list[tuple[Any, Message]] = []
        self.replies: dict[str, str] = {}

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, to: str, options: object) -> str:  # noqa: N802 (aiosmtpd's name)
        if to in self.replies:
            return self.replies[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        assert isinstance(envelope.content, bytes)
        self.received.append((session.peer, email.message_from_bytes(envelope.content)))
        return "250 OK"

    def recipients(self) -> list[str]:
        return [str(message["To"]) for _, message in self.received]
