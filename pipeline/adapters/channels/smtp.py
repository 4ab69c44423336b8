"""Mail over SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS from the first byte (RFC 8314).

One plain UTF-8 text part, no markup, so that nothing in it can act; headers are single lines. Message-ID comes from the
notification's id, so a repeated message is the same mail; `References` from the dedup key, so that an incident is one
thread. A reply 4xx is temporary, 5xx final, except where it is about the login, the sender or every recipient: then the
channel is set up wrongly and its mail waits.
"""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

from pipeline.adapters.channels.addresses import Resolve, checked_addresses, system_addresses
from pipeline.adapters.channels.deadline import Deadline
from pipeline.adapters.channels.http import tls_context
from pipeline.adapters.channels.markup import words_of
from pipeline.notifications.config import ChannelSettings, MailSettings
from pipeline.notifications.message import Notification
from pipeline.notifications.outcome import DELIVERED, REFUSED, RETRY, Sent
from pipeline.notifications.secret import Secret

_ID_DOMAIN = "accesstrail.invalid"
"""Right part of ids (RFC 2606): they are nobody's address."""


class SmtpSender:
    """Kind `smtp`."""

    def __init__(self, settings: ChannelSettings, resolve: Resolve = system_addresses) -> None:
        """Raises: ValueError: the settings are no mail channel's; OSError: `ca_file` holds no certificates."""
        if settings.mail is None:
            raise ValueError("a mail channel needs mail settings")
        self._settings = settings
        self._mail: MailSettings = settings.mail
        self._resolve = resolve
        self._context = tls_context(settings.ca_file)

    def send(self, notification: Notification, attempt: int, now_us: int) -> Sent:
        """As `Sender.send`."""
        settings, endpoint = self._settings, self._settings.endpoint
        if endpoint.host not in settings.allow_hosts:
            return Sent(RETRY, "host_not_allowed")
        addresses, failure = checked_addresses(
            endpoint.host, endpoint.port, settings.allow_private, self._resolve, settings.connect_timeout_s
        )
        if failure:
            return Sent(RETRY, failure)
        message = mail_of(notification, self._mail, settings.language, now_us)
        with Deadline(settings.timeout_s) as deadline:
            connection = _Connection(endpoint.host, addresses, settings, self._implicit_tls(), deadline)
            sent = self._attempt(connection, message)
        return Sent(RETRY, "timeout") if deadline.is_over and sent.outcome == RETRY else sent

    def _implicit_tls(self) -> ssl.SSLContext | None:
        return self._context if self._mail.security == "tls" else None

    def _attempt(self, connection: _Connection, message: EmailMessage) -> Sent:
        try:
            return self._conversation(connection, message)
        except smtplib.SMTPException as exc:
            return _judged(exc)
        except ssl.SSLCertVerificationError:
            return Sent(RETRY, "certificate")
        except TimeoutError:
            return Sent(RETRY, "timeout")
        except (OSError, ValueError):
            return Sent(RETRY, "cut_off" if connection.is_connected else "no_connection")
        finally:
            connection.close()

    def _conversation(self, connection: _Connection, message: EmailMessage) -> Sent:
        connection.open()
        if self._mail.security == "starttls":
            connection.secure(self._context)
        if self._mail.username and self._settings.secret:
            self._login(connection, self._settings.secret)
        refused = connection.send_message(message, self._mail.sender, list(self._mail.recipients))
        # What was confirmed stays so, however the server says good-bye.
        with suppress(smtplib.SMTPException, OSError, ValueError):
            connection.quit()
        return Sent(DELIVERED, "some_recipients_refused" if refused else "ok")

    def _login(self, connection: _Connection, secret: Secret) -> None:
        """Raises: SMTPAuthenticationError: also where the server takes no login; other SMTPException, OSError."""
        try:
            connection.login(self._mail.username, secret.reveal())
        except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected):
            raise
        except smtplib.SMTPException:
            raise smtplib.SMTPAuthenticationError(504, b"no way to log in") from None


def _judged(error: smtplib.SMTPException) -> Sent:
    """A code; the error itself names addresses."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Sent(RETRY, "tls_refused")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = min(code for code, _ in error.recipients.values())
    elif isinstance(error, smtplib.SMTPResponseException):
        code = error.smtp_code
    else:
        return Sent(RETRY, "cut_off")
    if not 500 <= code < 600:
        return Sent(RETRY, "server_error")
    is_about_this_mail = isinstance(error, smtplib.SMTPDataError)
    return Sent(REFUSED, "content_refused") if is_about_this_mail else Sent(RETRY, "unauthorized")


class _Connection(smtplib.SMTP):
    """smtplib's client, connected to addresses that were checked and cut at the deadline."""

    def __init__(
        self,
        host: str,
        addresses: Sequence[str],
        settings: ChannelSettings,
        implicit_tls: ssl.SSLContext | None,
        deadline: Deadline,
    ) -> None:
        # The deadline ends an attempt; a time-out of the socket would look like a server that hung up.
        super().__init__(local_hostname="localhost", timeout=settings.timeout_s + 1)
        self.is_connected = False
        self._host = host
        self._addresses = addresses
        self._settings = settings
        self._implicit_tls = implicit_tls
        self._deadline = deadline

    def open(self) -> None:
        """Connects and reads the greeting. Raises: SMTPException, OSError."""
        code, reply = self.connect(self._host, self._settings.endpoint.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, reply)

    def secure(self, context: ssl.SSLContext) -> None:
        """STARTTLS, or nothing further is said. Raises: SMTPException, OSError."""
        self.ehlo()
        if not self.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError("no STARTTLS")
        code, reply = self.starttls(context=context)
        if code != 220:
            raise smtplib.SMTPResponseException(code, reply)
        if self.sock is not None:
            self._deadline.watch(self.sock)

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        """Where smtplib makes its connection: to what was checked, not to what the name says now."""
        failed: OSError = OSError("no address")
        for address in self._addresses:
            try:
                found = socket.create_connection((address, port), self._settings.connect_timeout_s)
            except OSError as exc:
                failed = exc
                continue
            self.is_connected = True
            found.settimeout(timeout)
            if self._implicit_tls:
                found = self._implicit_tls.wrap_socket(found, server_hostname=host)
            self._deadline.watch(found)
            return found
        raise failed


def mail_of(notification: Notification, mail: MailSettings, language: str, now_us: int) -> EmailMessage:
    """The mail of a notification; `now_us` is its date (UTC microseconds)."""
    words = words_of(notification, language)
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = Address(addr_spec=mail.sender)
    message["To"] = [Address(addr_spec=one) for one in mail.recipients]
    message["Subject"] = words.title
    message["Date"] = format_datetime(datetime.fromtimestamp(now_us // 1_000_000, UTC))
    message["Message-ID"] = f"<{_id_of(notification.notification_id)}@{_ID_DOMAIN}>"
    message["References"] = f"<{_id_of(notification.dedup_key)}@{_ID_DOMAIN}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Accesstrail-Id"] = _id_of(notification.notification_id)
    text = "\n".join([*words.lines, "", notification.link] if notification.link else words.lines)
    message.set_content(text + "\n", charset="utf-8", cte="base64")
    return message


def _id_of(text: str) -> str:
    """A text that may stand in an id: itself where it is a UUID, else its SHA-256."""
    is_plain = len(text) == 36 and all(sign in "0123456789abcdef-" for sign in text)
    return text if is_plain else hashlib.sha256(text.encode()).hexdigest()[:32]
