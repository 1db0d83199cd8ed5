"""E-mail addresses, passwords and time zone names: how they are compared, what is taken, how long they may be; pure."""

import re
import unicodedata
import zoneinfo
from contextlib import suppress
from functools import cache

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from config.values import ascii_domain

MAX_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
MAX_LOCAL_PART = 64  # octets; section 4.5.3.1.1
MAX_PASSWORD = 256  # hashing is slow on purpose
MAX_NAME = 100

_AT = re.compile("[\ufe6b\uff20]")  # what is an @ in NFKC
_is_well_formed = EmailValidator()
# General category Zs but for U+0020; a test holds this against unicodedata.
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def canonical_email(email: str) -> str:
    """The form that makes two spellings of one address equal: NFKC, case folded, NFKC again; the domain in ASCII, as it
    is, since NFKC alone would make another domain of some letters than `mail_address` does.

    Computed here and not by the database, whose case folding depends on its collation. The last step
    is needed because case folding can leave a text that is not normalised (Unicode, chapter 3.13).
    What is longer than any address stays as it is: normalising it can take half a minute.
    """
    email = email.strip()
    if len(email) > MAX_EMAIL:
        return email
    name, at, domain = _AT.sub("@", email).rpartition("@")
    folded = unicodedata.normalize("NFKC", name).casefold()
    return f"{unicodedata.normalize('NFKC', folded)}{at}{_canonical_domain(domain)}"


def _canonical_domain(domain: str) -> str:
    """Case folding would make ss of ß, which is another domain."""
    try:
        return ascii_domain(domain)
    except UnicodeError:
        return unicodedata.normalize("NFKC", domain).lower()


def mail_address(email: str) -> str:
    """Where mail to an address goes: Django would translate its domain by IDNA 2003, and send it elsewhere.

    Raises UnicodeError for what cannot be a domain.
    """
    name, at, domain = email.rpartition("@")
    return email if domain.isascii() else f"{name}{at}{ascii_domain(domain)}"


def validate_email(email: str) -> None:
    """Raise ValidationError unless mail can go there; judged is the form that a mail server gets.

    Django's validator alone ignores case in all of Unicode, where ı, ſ and the Kelvin sign are letters of ASCII.
    """
    if len(email) <= MAX_EMAIL:
        name, _, domain = email.rpartition("@")
        with suppress(UnicodeError):
            address = f"{name}@{_registrable(domain)}"
            if address.isascii() and len(address) <= MAX_EMAIL and len(name) <= MAX_LOCAL_PART:
                return _is_well_formed(address)
    raise ValidationError(_is_well_formed.message, code=_is_well_formed.code)


def _registrable(domain: str) -> str:
    """In ASCII, by the rules for what can be registered (IDNA 2008). Raises UnicodeError."""
    if domain.isascii():
        return domain
    import idna  # as in config.values

    return idna.encode(domain, uts46=True, std3_rules=True).decode()


def opaque_string(password: str) -> str:
    """A password as it is hashed: the same, whatever form a keyboard gives its accents and spaces.

    The mappings of the profile OpaqueString (RFC 8265, section 4.2): every space is U+0020, and then NFC. What that
    profile refuses, such as control characters, is taken: it would lock out who has it.
    """
    return unicodedata.normalize("NFC", _SPACES.sub(" ", password))


@cache
def known_timezones() -> frozenset[str]:
    """The IANA names; reading them from disk takes some milliseconds.

    Some systems list two that are none: the zone of the machine, and the mark of a missing setting.
    """
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})
