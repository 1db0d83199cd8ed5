"""The settings JWT_EXTERNAL_…: which of them can work together, and what to do about the others; stdlib only."""

from urllib.parse import urlsplit


def refuse_external_issuer(
    issuer: str, audience: str, jwks_url: str, secret: str, *, own_issuer: object, own_secrets: set[str]
) -> str | None:
    """The first rule that the settings break, in one line, or None."""
    rules = (
        (jwks_url and secret, "JWT_EXTERNAL_JWKS_URL and JWT_EXTERNAL_SECRET are both set; unset one of them."),
        (
            (issuer or audience) and not (jwks_url or secret),
            "JWT_EXTERNAL_ISSUER and JWT_EXTERNAL_AUDIENCE verify nothing alone; "
            "set JWT_EXTERNAL_JWKS_URL or JWT_EXTERNAL_SECRET, too.",
        ),
        (issuer == own_issuer, "JWT_EXTERNAL_ISSUER must differ from JWT_ISSUER."),
        (
            jwks_url and not (issuer and audience),
            "JWT_EXTERNAL_JWKS_URL needs JWT_EXTERNAL_ISSUER and JWT_EXTERNAL_AUDIENCE: "
            "the iss and aud that the tokens carry.",
        ),
        (
            jwks_url and not _is_http_url(jwks_url),
            "JWT_EXTERNAL_JWKS_URL must be an http or https URL in ASCII: https://issuer.example/.well-known/jwks.json",
        ),
        (secret and len(secret.encode()) < 32, "JWT_EXTERNAL_SECRET is too short: it needs at least 32 bytes."),
        (
            secret and secret in own_secrets,
            "JWT_EXTERNAL_SECRET must differ from SECRET_KEY and JWT_SIGNING_KEY.",
        ),
        (
            secret.startswith(("{", "-----BEGIN", "ssh-")),
            "JWT_EXTERNAL_SECRET is a key, not a secret text; for public keys, set JWT_EXTERNAL_JWKS_URL instead.",
        ),
    )
    return next((refusal for is_broken, refusal in rules if is_broken), None)


def _is_http_url(text: str) -> bool:
    """An http URL with a host in ASCII (Python translates others by IDNA 2003), no password (it is not sent)."""
    try:
        url = urlsplit(text)
        is_plain = text.isascii() and "@" not in url.netloc
        return url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0 and is_plain
    except ValueError:
        return False
