"""How e-mail addresses and time zone names are compared, and how long they may be; pure."""

import unicodedata
import zoneinfo
from functools import cache

from config.text import ascii_domain

MAX_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets
MAX_NAME = 100


def canonical_email(email: str) -> str:
    """The form that makes two spellings of one address equal: NFKC, case folded, NFKC again; the domain in ASCII.

    Computed here and not by the database, whose case folding depends on its collation. The last step
    is needed because case folding can leave a text that is not normalised (Unicode, chapter 3.13).
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email.strip()).casefold())
    name, at, domain = folded.rpartition("@")
    return f"{name}{at}{ascii_domain(domain) or domain}"


@cache
def known_timezones() -> frozenset[str]:
    """The IANA names; reading them from disk takes some milliseconds.

    Some systems list two that are none: the zone of the machine, and the mark of a missing setting.
    """
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})
