"""What text can be stored, and where mail can go; stdlib only."""

import re

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """PostgreSQL stores no NUL, and UTF-8 no lone surrogates."""
    return not _UNSTORABLE.search(text)


def storable(text: str) -> str:
    """The text without what cannot be stored."""
    return _UNSTORABLE.sub("", text)


def ascii_domain(domain: str) -> str | None:
    """The domain as mail servers see it (IDNA), where invisible characters are gone; None if it cannot be one."""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
