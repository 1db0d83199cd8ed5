"""Environment variables for `config.settings`, each parsed by its type; errors say in one line what to do."""

import os
import re
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from config.environment.rates import Rate, parse_rate

Value = TypeVar("Value")

# Random secrets have more: 32 hexadecimal digits have 14 distinct ones on average.
MIN_DISTINCT_CHARACTERS = 8
# Words of example secrets. Of random texts of 64 letters and digits, one in a million holds such a word.
EXAMPLE = re.compile(
    "insecure|change.?me|change.?this|replace.?(me|this)|your.?(secret|key)|secret.?key|signing.?key|super.?secret"
    "|example|password|passphrase|correct.?horse|default|tickbase|qwerty|letmein|0123456789|1234567890|abcdefgh",
    re.IGNORECASE,
)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.1
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s*/?#@]+")
HASHING_LOCK = "TICKBASE_HASHING_LOCK"  # the launcher names a file there, which workers lock to hash a password
STREAM_PLACES = "TICKBASE_STREAM_PLACES"  # and one there, whose bytes they lock for streams
secret_files: dict[str, Path] = {}  # that were read, by variable; the doctor looks who else can read them
MAKE_ONE = "make one with: openssl rand -base64 48"


def env(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, default: bool) -> bool:
    value = env(name, str(default)).lower()
    if value not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name}={value!r} is not a boolean; use true or false.")
    return value in {"true", "1", "yes", "on"}


def env_int(name: str, default: int, *, minimum: int, maximum: int) -> int:
    value = env(name, str(default))
    if not value.isdecimal() or len(value) > 9 or not minimum <= int(value) <= maximum:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number from {minimum} to {maximum}.")
    return int(value)


def env_list(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in env(name, default).split(",") if item.strip()]


def env_headers(name: str) -> list[str]:
    """Header names, in lower case. Not `*`: beside credentials, browsers take it literally."""
    names = env_list(name)
    if wrong := next((each for each in names if not HEADER_NAME.fullmatch(each) or each == "*"), None):
        raise ImproperlyConfigured(f"{name} holds {wrong!r}, which is no header; name each one, with commas between.")
    return [each.lower() for each in names]


def env_networks(name: str) -> list[IPv4Network | IPv6Network]:
    """IP addresses, and networks such as 10.0.0.0/8."""
    try:
        return [ip_network(item) for item in env_list(name)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} names no address or network: {error}.") from error


def env_origins(name: str) -> list[str]:
    """Web origins (RFC 6454). Without a scheme, `null` would be one: the origin of any sandboxed page."""
    origins = env_list(name)
    if wrong := next((each for each in origins if not ORIGIN.fullmatch(each)), None):
        raise ImproperlyConfigured(
            f"{name} holds {wrong!r}, which is no origin; write one like https://app.example.com."
        )
    return origins


def env_path(name: str, default: str) -> str:
    """A URL path as `urls.py` writes it, without the leading slash; empty for `off`."""
    value = env(name, default)
    if value == "off":
        return ""
    parts = value.strip("/").split("/")
    if not all(re.fullmatch(r"[A-Za-z0-9_-]+", part) for part in parts):
        raise ImproperlyConfigured(f"{name}={value!r} is not a path; write one like {default} or a/b/, or off.")
    return "/".join(parts) + "/"


def env_choice(name: str, default: str, *others: str) -> str:
    value = env(name, default)
    if value not in {default, *others}:
        *most, last = default, *others
        raise ImproperlyConfigured(f"{name}={value!r} is unknown; use {', '.join(most)} or {last}.")
    return value


def env_rate(name: str, default: str) -> Rate | None:
    value = env(name, default)
    try:
        return parse_rate(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={value!r} is not a rate; {error}.") from error


def env_secret(name: str) -> str:
    """A secret: the variable itself, or the content of the file that NAME_FILE names (Docker and systemd secrets)."""
    path = env(f"{name}_FILE")
    if not path:
        return env(name)
    if env(name):
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set; unset one of them.")
    try:
        value = Path(path).read_text("utf-8-sig").strip()  # editors on Windows write a byte order mark
    except OSError as error:
        raise ImproperlyConfigured(f"{name}_FILE={path!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ImproperlyConfigured(f"{name}_FILE={path!r} is not a text file in UTF-8.") from error
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE={path!r} is empty; write the value into it.")
    secret_files[f"{name}_FILE"] = Path(path)
    return value


def _generated_secret(name: str, folder: Path) -> str:
    """A development secret, made once and kept in a file that only its owner can read."""
    path = folder / f"{name.lower()}.secret"
    try:
        if not path.exists():
            _publish(path, secrets.token_urlsafe(48))
        return path.read_text()
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name} is not set, and {path} cannot be written and read: {error.strerror}. "
            f"Set {name}, or DATA_DIR to a directory of your own."
        ) from error


def _publish(path: Path, text: str) -> None:
    """Create the file atomically with its whole content and mode 0600, unless another process was first.

    The draft needs a unique name: process ids are not unique where containers share a volume, and a process that
    shares a draft could change the secret after another has read it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with open(descriptor, "w") as file:
            file.write(text)
        with suppress(FileExistsError):
            os.link(draft, path)  # a rename would replace the other process's secret
    finally:
        os.unlink(draft)


def secret(name: str, generate_in: Path | None) -> str:
    """A secret of at least 32 bytes. If it is not set, it is generated into the folder; without a folder, refused."""
    value = env_secret(name)
    if not value:
        if generate_in is None:
            raise ImproperlyConfigured(f"{name} is not set. Production needs a secret of at least 32 bytes; {MAKE_ONE}")
        value = _generated_secret(name, generate_in)
    if len(value.encode()) < 32:
        raise ImproperlyConfigured(f"{name} is too short: it needs at least 32 bytes.")
    return value


def refuse_guessable(**values: str) -> None:
    """Secrets that are examples or repetitive: anyone who guesses one can sign tokens."""
    for name, value in values.items():
        if len(set(value)) < MIN_DISTINCT_CHARACTERS:
            raise ImproperlyConfigured(f"{name} repeats too few characters, and can be guessed; {MAKE_ONE}")
        if EXAMPLE.search(value):
            raise ImproperlyConfigured(f"{name} looks like an example, which others know too; {MAKE_ONE}")


def refuse_unicode_domains(**domains: str) -> None:
    """Domains that smtplib and Django would translate by IDNA 2003, where faß.de is fass.de."""
    for name, domain in domains.items():
        if not domain.isascii():
            raise ImproperlyConfigured(
                f"{name} needs its domain in ASCII, as xn--…; Python may take it for another one."
            )


def of_settings(compute: Callable[[], Value]) -> Callable[[], Value]:
    """A cache of what is computed from settings alone, each read of which is a call in Python.

    Django sends the signal where a test overrides a setting.
    """
    cached = cache(compute)
    setting_changed.connect(lambda **kwargs: cached.cache_clear(), weak=False)
    return cached
