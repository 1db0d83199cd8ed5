"""What text can be stored, and how a domain is written for mail servers; needs no Django."""

import re

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def is_storable(text: str) -> bool:
    """PostgreSQL stores no NUL, and UTF-8 no lone surrogates."""
    return not _UNSTORABLE.search(text)


def storable(text: str) -> str:
    """The text without what cannot be stored."""
    return _UNSTORABLE.sub("", text)


def ascii_domain(domain: str) -> str:
    """The domain in ASCII, as mail servers look it up: UTS #46 without its transitional mapping, so that ß, ς and
    the joiners make another domain than ss, σ and nothing (RFC 5891; IDNA 2003 took them for the same).

    Raises UnicodeError for what cannot be a domain.
    """
    if domain.isascii():
        return domain.lower()
    import idna  # its tables take 3 MiB, and most domains are ASCII

    labels = idna.uts46_remap(domain).split(".")
    return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
