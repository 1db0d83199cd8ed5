"""E-mail addresses, passwords and time zone names: normalisation, validation and maximum lengths; pure functions."""

import re
import unicodedata
import zoneinfo
from contextlib import suppress
from email.errors import MessageError
from functools import cache

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from config.values import ascii_domain

MAX_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
MAX_LOCAL_PART = 64  # octets; section 4.5.3.1.1
MAX_PASSWORD = 256  # hashing is slow on purpose
MAX_NAME = 100

_AT = re.compile("[\ufe6b\uff20]")  # become @ in NFKC
_is_well_formed = EmailValidator()
# General category Zs without U+0020; a test compares this with unicodedata.
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def canonical_email(email: str) -> str:
    """The form in which addresses are compared: the local part in NFKC, case folded, and in NFKC again, since case
    folding can leave a text that is not normalised (Unicode, chapter 3.13); the domain in ASCII, as in `mail_address`.

    Computed here, as the database's case folding depends on its collation. A text longer than any address is returned
    as it is: normalising it can take half a minute.
    """
    email = email.strip()
    if len(email) > MAX_EMAIL:
        return email
    name, at, domain = _AT.sub("@", email).rpartition("@")
    folded = unicodedata.normalize("NFKC", name).casefold()
    try:
        domain = ascii_domain(domain)
    except UnicodeError:
        domain = unicodedata.normalize("NFKC", domain).lower()  # not case folded: ß would become ss, another domain
    return f"{unicodedata.normalize('NFKC', folded)}{at}{domain}"


def mail_address(email: str) -> str:
    """The address with its domain in ASCII (IDNA 2008): Django would encode it by IDNA 2003, which can be another one.

    Raises UnicodeError for an invalid domain.
    """
    name, at, domain = email.rpartition("@")
    return email if domain.isascii() else f"{name}{at}{ascii_domain(domain)}"


def validate_email(email: str) -> None:
    """Raises ValidationError for an address that is not deliverable; validated is its form in ASCII.

    Django's validator alone ignores case in all of Unicode, where ı, ſ and the Kelvin sign match ASCII letters.
    """
    if len(email) <= MAX_EMAIL:
        name, _, domain = email.rpartition("@")
        with suppress(UnicodeError):
            if not domain.isascii():  # by the registration rules of IDNA 2008
                import idna  # as in config.values

                domain = idna.encode(domain, uts46=True, std3_rules=True).decode()
            address = f"{name}@{domain}"
            if address.isascii() and len(address) <= MAX_EMAIL and len(name) <= MAX_LOCAL_PART:
                _is_well_formed(address)
                if _is_mailed_as_it_is(address):
                    return
    raise ValidationError(_is_well_formed.message, code=_is_well_formed.code)


def _is_mailed_as_it_is(address: str) -> bool:
    """Not where it would lead to another mailbox, which has an address of its own: encoded words (RFC 2047) are decoded
    in mails, and control characters left out."""
    from django.core.mail.message import sanitize_address  # slow to import

    try:
        return sanitize_address(address, "utf-8") == address
    except (ValueError, MessageError):
        return False


def validate_timezone(name: str) -> None:
    if name not in known_timezones():
        raise ValidationError("Use an IANA time zone name, for example Asia/Karachi.", code="unknown_timezone")


def opaque_string(password: str) -> str:
    """A password as it is hashed, independent of how a keyboard encodes accents and spaces.

    The mappings of the profile OpaqueString (RFC 8265, section 4.2): spaces become U+0020, then NFC. What the profile
    forbids, such as control characters, is accepted, so as not to lock out users who have it in their password.
    """
    return unicodedata.normalize("NFC", _SPACES.sub(" ", password))


@cache
def known_timezones() -> frozenset[str]:
    """The IANA names, cached: reading them from disk takes some milliseconds.

    Without two that some systems add: the machine's zone, and a placeholder for a missing setting.
    """
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})
