"""Which settings of an external issuer can work together, and what to do about the others; stdlib only."""

from urllib.parse import urlsplit


def refuse_external_issuer(
    issuer: str, audience: str, jwks_url: str, secret: str, *, own_issuer: object, own_secrets: set[str]
) -> str | None:
    """What is wrong, in one line, if anything is."""
    if jwks_url and secret:
        return "JWT_EXTERNAL_JWKS_URL and JWT_EXTERNAL_SECRET are both set; unset one of them."
    if (issuer or audience) and not (jwks_url or secret):
        return (
            "JWT_EXTERNAL_ISSUER and JWT_EXTERNAL_AUDIENCE verify nothing alone; "
            "set JWT_EXTERNAL_JWKS_URL or JWT_EXTERNAL_SECRET, too."
        )
    if issuer == own_issuer:
        return "JWT_EXTERNAL_ISSUER must differ from JWT_ISSUER."
    if jwks_url:
        return _refuse_url(jwks_url, is_named=bool(issuer and audience))
    return _refuse_secret(secret, own_secrets) if secret else None


def _refuse_url(url: str, *, is_named: bool) -> str | None:
    if not is_named:
        return (
            "JWT_EXTERNAL_JWKS_URL needs JWT_EXTERNAL_ISSUER and JWT_EXTERNAL_AUDIENCE: "
            "the iss and aud that the tokens carry."
        )
    if not _is_http_url(url):
        return (
            "JWT_EXTERNAL_JWKS_URL must be an http or https URL in ASCII: https://issuer.example/.well-known/jwks.json"
        )
    return None


def _is_http_url(text: str) -> bool:
    """With a host in ASCII, which Python would take for another one, and without a password, which is not sent."""
    try:
        url = urlsplit(text)
        is_plain = text.isascii() and "@" not in url.netloc
        return url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0 and is_plain
    except ValueError:
        return False


def _refuse_secret(secret: str, own: set[str]) -> str | None:
    if len(secret.encode()) < 32:
        return "JWT_EXTERNAL_SECRET is too short: it needs at least 32 bytes."
    if secret in own:
        return "JWT_EXTERNAL_SECRET must differ from SECRET_KEY and JWT_SIGNING_KEY."
    if secret.startswith(("{", "-----BEGIN", "ssh-")):
        return "JWT_EXTERNAL_SECRET is a key, not a secret text; for public keys, set JWT_EXTERNAL_JWKS_URL instead."
    return None
