"""Tokens of the external issuer: which are valid, and the identity that they assert."""

import datetime as dt
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from config.errors import InvalidToken
from tests.issuer import AUDIENCE, ISSUER, SECRET, SHARED, Issuer, SigningKey, claims_of, make_key, sign, sign_raw
from tests.problems import cases
from users.tokens import external
from users.tokens.external import Identity

KEY, RSA = make_key("first"), make_key("rsa", "RS256")
OTHER = SigningKey("first", "EdDSA", make_key("other").private)
PEM = RSA.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NOW = dt.datetime(2026, 11, 24, 9, 0, tzinfo=dt.UTC)


def seconds(moment: dt.datetime) -> int:
    return int(moment.timestamp())


def assert_refused(raw: str) -> None:
    with pytest.raises(InvalidToken) as refusal:
        external.verify(raw)
    assert refusal.value.detail in (
        "The token is invalid or has expired; sign in again.",
        "The token has expired; refresh it at its issuer, or sign in there again.",
    )


# --- What is believed -------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_a_token_tells_who_it_is(issuer: Issuer, algorithm: str) -> None:
    issuer.keys = [make_key("a key", algorithm)]
    with time_machine.travel(NOW, tick=False):
        raw = issuer.token("auth0|65a", email=" Ada@Example.com ", name=" Ada Lovelace ", auth_time=seconds(NOW) - 60)
        identity = external.verify(raw)
    assert identity == Identity(
        issuer=ISSUER,
        subject="auth0|65a",
        email="Ada@Example.com",
        is_email_verified=False,
        name="Ada Lovelace",
        issued_at=NOW,
        signed_in_at=NOW - dt.timedelta(minutes=1),
    )


@pytest.mark.usefixtures("shared_secret")
def test_a_shared_secret_needs_no_more_than_the_simplest_front_ends_send() -> None:
    raw = sign(SHARED, {"sub": "7", "email": "a@example.com", "name": "A", "exp": time.time() + 60})
    assert external.verify(raw) == Identity("external", "7", "a@example.com", False, "A", None, None)


@pytest.mark.usefixtures("shared_secret")
def test_what_is_not_configured_is_not_checked() -> None:
    assert external.verify(sign(SHARED, claims_of(iss="anyone", aud=["anything"]))).issuer == "external"


@pytest.mark.usefixtures("shared_secret")
@pytest.mark.parametrize(("setting", "claim"), [("JWT_EXTERNAL_ISSUER", "iss"), ("JWT_EXTERNAL_AUDIENCE", "aud")])
def test_what_is_configured_beside_a_shared_secret_is_checked(settings: Settings, setting: str, claim: str) -> None:
    setattr(settings, setting, "https://ours.example")
    assert external.verify(sign(SHARED, claims_of(**{claim: "https://ours.example"}))).subject == "ada"
    assert_refused(sign(SHARED, claims_of(**{claim: None})))
    assert_refused(sign(SHARED, claims_of(**{claim: "https://ours.example/"})))


def test_one_of_several_audiences_is_ours(issuer: Issuer) -> None:
    assert external.verify(issuer.token(aud=["https://issuer.example/userinfo", AUDIENCE])).subject == "ada"


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", "JOSE", None])
def test_the_types_of_access_tokens(issuer: Issuer, kind: Any) -> None:
    assert external.verify(sign(KEY, claims_of(), typ=kind)).subject == "ada"


@pytest.mark.parametrize("subject", ["auth0|65a", "did:plc:x", "a b", "7", "me", "é", "/", "x" * 255, "😀" * 255])
def test_a_subject_is_any_text(issuer: Issuer, subject: str) -> None:
    assert external.verify(issuer.token(subject)).subject == subject


UNUSABLE = [None, 7, True, ["a@example.com"], {"address": "a@example.com"}]


@pytest.mark.parametrize(
    "email",
    [*UNUSABLE, "", "ada", "a@b", "a@example.com\0", "a@\ud800.com", "a b@example.com", f"{'a' * 250}@b.example"],
)
def test_an_unusable_address_is_none(issuer: Issuer, email: Any) -> None:
    assert external.verify(issuer.token(email=email)).email == ""


@pytest.mark.parametrize(
    ("name", "kept"),
    [*[(value, "") for value in UNUSABLE], ("\0", ""), ("\udc00", ""), (" a ", "a"), ("x " * 99, "x " * 49 + "x")],
)
def test_a_name_is_kept_as_far_as_it_can_be(issuer: Issuer, name: Any, kept: str) -> None:
    assert external.verify(issuer.token(name=name)).name == kept


@pytest.mark.parametrize(
    ("claims", "issued", "signed_in"),
    [
        ({"iat": None}, None, None),
        ({}, 0, 0),
        ({"auth_time": seconds(NOW) - 7}, 0, -7),
        ({"iat": None, "auth_time": seconds(NOW) - 7}, None, -7),
        ({"iat": seconds(NOW) - 0.5}, -0.5, -0.5),
    ],
)
def test_when_it_was_issued_and_the_person_signed_in(
    issuer: Issuer, claims: dict[str, Any], issued: float | None, signed_in: float | None
) -> None:
    with time_machine.travel(NOW, tick=False):
        identity = external.verify(issuer.token(**claims))
    assert identity.issued_at == (None if issued is None else NOW + dt.timedelta(seconds=issued))
    assert identity.signed_in_at == (None if signed_in is None else NOW + dt.timedelta(seconds=signed_in))


@pytest.mark.parametrize(
    ("claim", "offset", "is_good"),
    [
        ("exp", -29, True),
        ("exp", -31, False),
        ("nbf", 29, True),
        ("nbf", 31, False),
        ("iat", 29, True),
        ("iat", 31, False),
    ],
)
def test_clocks_may_differ_by_half_a_minute(issuer: Issuer, claim: str, offset: int, is_good: bool) -> None:
    with time_machine.travel(NOW, tick=False):
        raw = sign(KEY, claims_of(**{claim: seconds(NOW) + offset}))
        if is_good:
            assert external.verify(raw).subject == "ada"
        else:
            assert_refused(raw)


def test_without_an_issuer_nothing_is_believed() -> None:
    assert not external.is_configured()
    assert_refused(sign(KEY, claims_of()))
    assert_refused(sign(SigningKey("", "HS256", b""), claims_of()))


def test_an_issuer_is_configured_by_either_way(settings: Settings) -> None:
    settings.JWT_EXTERNAL_SECRET = SECRET
    assert external.is_configured()
    settings.JWT_EXTERNAL_SECRET, settings.JWT_EXTERNAL_JWKS_URL = "", "https://issuer.example/jwks"
    assert external.is_configured()


# --- What is refused --------------------------------------------------------------------------------


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    parts = ({"alg": "none", "kid": "first", **header}, claims)
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def changed(raw: str) -> str:
    """The same signature under other claims."""
    header, _, signature = raw.split(".")
    payload = urlsafe_b64encode(json.dumps(claims_of("bob")).encode()).decode().rstrip("=")
    return f"{header}.{payload}.{signature}"


# To both kinds of issuers. A function makes the token of the issuer's key.
HOSTILE: dict[str, Callable[[SigningKey], str]] = {
    "nothing": lambda key: "",
    "no token": lambda key: "abc",
    "two parts": lambda key: "e30.e30",
    "four parts": lambda key: sign(key, claims_of()) + ".e30",
    "not ASCII": lambda key: sign(key, claims_of()) + "é",
    "lone surrogates": lambda key: sign(key, claims_of()) + "\ud800",
    "too long": lambda key: sign(key, claims_of(x="x" * external.MAX_TOKEN)),
    "no base64": lambda key: "!!!.???.***",
    "a header that is no JSON": lambda key: sign_raw(key, b"{", b"{}"),
    "a header that is no object": lambda key: sign_raw(key, b'["alg"]', b"{}"),
    "a deep header": lambda key: sign_raw(key, b'{"a":' * 900 + b"1" + b"}" * 900, b"{}"),
    "a bottomless header": lambda key: sign_raw(key, b"[" * 5000, b"{}"),
    "claims that are no JSON": lambda key: sign(key, b"{"),
    "claims that are no object": lambda key: sign(key, ["sub"]),
    "claims that are no text": lambda key: sign(key, b"\xff\xfe\xff"),
    "bottomless claims": lambda key: sign(key, b"[" * 5000),
    "changed claims": lambda key: changed(sign(key, claims_of())),
    "no signature": lambda key: sign(key, claims_of()).rpartition(".")[0] + ".",
    "a cut signature": lambda key: sign(key, claims_of())[:-8],
    "no algorithm": lambda key: unsigned(claims_of()),
    "No algorithm": lambda key: unsigned(claims_of(), alg="None"),
    "an algorithm that is null": lambda key: sign(key, claims_of(), alg=None),
    "an algorithm that is a list": lambda key: sign(key, claims_of(), alg=[key.algorithm]),
    "another HMAC": lambda key: sign(SigningKey("first", "HS512", SHARED.private), claims_of()),
    "an unknown extension": lambda key: sign(key, claims_of(), crit=["exp"], exp=1),
    "a known extension": lambda key: sign(key, claims_of(), crit=["b64"], b64=True),
    "an empty list of extensions": lambda key: sign(key, claims_of(), crit=[]),
    "a payload beside the token": lambda key: sign(key, claims_of(), crit=["b64"], b64=False),
    "a payload that is not encoded": lambda key: sign(key, claims_of(), b64=False),
    "a token to sign out": lambda key: sign(key, claims_of(), typ="logout+jwt"),
    "a proof of possession": lambda key: sign(key, claims_of(), typ="application/dpop+JWT"),
    "no subject": lambda key: sign(key, claims_of(None)),
    "a null subject": lambda key: sign(key, {**claims_of(), "sub": None}),
    "an empty subject": lambda key: sign(key, claims_of("")),
    "a subject of 256": lambda key: sign(key, claims_of("x" * 256)),
    "a subject with NUL": lambda key: sign(key, claims_of("a\0b")),
    "a subject with half a character": lambda key: sign(key, claims_of("a\udc00")),
    "a subject that is a number": lambda key: sign(key, claims_of(7)),
    "a subject that is a list": lambda key: sign(key, claims_of(["ada"])),
    "no expiry": lambda key: sign(key, claims_of(exp=None)),
    "expired": lambda key: sign(key, claims_of(exp=int(time.time()) - 60)),
    "not yet": lambda key: sign(key, claims_of(nbf=int(time.time()) + 60)),
    "issued tomorrow": lambda key: sign(key, claims_of(iat=int(time.time()) + 86_400)),
}  # fmt: skip
MOMENTS: list[Any] = [
    True, False, "", "soon", "9999999999", [], {}, -1, 1e300, 10**15, 10**400,
    float("nan"), float("inf"), -float("inf"),
]  # fmt: skip


@pytest.mark.parametrize("make", cases(HOSTILE))
def test_a_hostile_token_for_a_published_key(issuer: Issuer, make: Callable[[SigningKey], str]) -> None:
    assert external.verify(sign(KEY, claims_of())).subject == "ada"
    assert_refused(make(KEY))


@pytest.mark.usefixtures("shared_secret")
@pytest.mark.parametrize("make", cases(HOSTILE))
def test_a_hostile_token_for_a_shared_secret(make: Callable[[SigningKey], str]) -> None:
    assert external.verify(sign(SHARED, claims_of())).subject == "ada"
    assert_refused(make(SHARED))


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat", "auth_time"])
@pytest.mark.parametrize("value", MOMENTS)
def test_a_moment_that_is_none(issuer: Issuer, claim: str, value: Any) -> None:
    assert_refused(sign(KEY, {**claims_of(), claim: value}))


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a_moment_that_is_null(issuer: Issuer, claim: str) -> None:
    assert_refused(sign(KEY, {**claims_of(), claim: None}))


def test_a_number_that_is_too_long_to_read(issuer: Issuer) -> None:
    assert_refused(sign(KEY, b'{"sub": "ada", "exp": %s}' % (b"9" * 5000)))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", None), ("iss", ""), ("iss", 7), ("iss", [ISSUER]), ("iss", ISSUER.rstrip("/")), ("iss", ISSUER.upper()),
        ("aud", None), ("aud", ""), ("aud", []), ("aud", 7), ("aud", {AUDIENCE: 1}), ("aud", [AUDIENCE, 7]),
        ("aud", AUDIENCE + "/"), ("aud", [["https://tasks.example"]]), ("aud", "another"),
    ],
)  # fmt: skip
def test_another_issuer_or_audience(issuer: Issuer, claim: str, value: Any) -> None:
    assert_refused(issuer.token(**{claim: value}))


FORGED: dict[str, Callable[[], str]] = {
    "by another key of the same id": lambda: sign(OTHER, claims_of()),
    "without an id": lambda: sign(SigningKey("", "EdDSA", KEY.private), claims_of()),
    "with an id that is a list": lambda: sign(KEY, claims_of(), kid=["first"]),
    "with an unknown id": lambda: sign(KEY, claims_of(), kid="../first"),
    "with the public key as a secret": lambda: sign(SigningKey("rsa", "HS256", PEM), claims_of()),
    "with the public key as a secret, of RS256": lambda: sign(
        SigningKey("rsa", "HS256", PEM), claims_of(), alg="RS256"
    ),
    "with the published document as a secret": lambda: sign(
        SigningKey("rsa", "HS256", json.dumps(RSA.jwk).encode()), claims_of()
    ),
    "for an algorithm that the key is not for": lambda: sign(SigningKey("rsa", "RS512", RSA.private), claims_of()),
    "for PSS": lambda: sign(SigningKey("rsa", "PS256", RSA.private), claims_of()),
    "with a key beside it": lambda: sign(OTHER, claims_of(), jwk=OTHER.jwk),
    "for a weak key": lambda: sign(make_key("weak", "RS256", 1024), claims_of()),
}


@pytest.mark.parametrize("make", cases(FORGED))
def test_a_forged_token(issuer: Issuer, make: Callable[[], str]) -> None:
    issuer.keys = [KEY, RSA, make_key("weak", "RS256", 1024)]
    assert external.verify(sign(RSA, claims_of())).subject == "ada"
    assert_refused(make())


@pytest.mark.parametrize("header", [{}, {"kid": None}, {"kid": ""}])
def test_for_a_token_without_a_key_nobody_is_asked(issuer: Issuer, header: dict[str, Any]) -> None:
    assert_refused(sign(SigningKey("", "EdDSA", KEY.private), claims_of(), **header))
    assert issuer.paths == []


@pytest.mark.parametrize("header", ["jku", "x5u"])
def test_no_address_in_a_token_is_ever_asked(issuer: Issuer, header: str) -> None:
    address = issuer.url.replace("/jwks", "/theirs")
    assert_refused(sign(OTHER, claims_of(), **{"kid": "theirs", header: address}))
    assert external.verify(sign(KEY, claims_of(), **{header: address})).subject == "ada"
    assert set(issuer.paths) == {"/jwks"}


@pytest.mark.usefixtures("shared_secret")
def test_the_public_tokens_of_a_shared_secret_are_nobody() -> None:
    """Supabase signs the keys that every browser has with the very secret."""
    assert_refused(sign(SHARED, {"iss": "supabase", "role": "anon", "exp": int(time.time()) + 60}))


@pytest.mark.usefixtures("shared_secret")
def test_a_published_key_is_nothing_to_a_shared_secret() -> None:
    assert_refused(sign(KEY, claims_of()))
    assert_refused(sign(SigningKey("", "HS256", b"another secret, of the same length or so"), claims_of()))


def test_an_issuer_that_is_down_is_a_refusal(issuer: Issuer) -> None:
    issuer.stop()
    assert_refused(sign(KEY, claims_of()))
    issuer.start()
    assert external.verify(sign(KEY, claims_of())).subject == "ada"


# --- Whatever comes ---------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]), VALUES, max_size=3)
CLAIMS = st.dictionaries(
    st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "auth_time", "email", "name"]), VALUES, max_size=4
)


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=HEADERS, claims=CLAIMS)
def test_any_header_and_claims_are_an_identity_or_refused(shared_secret: str, header: Any, claims: Any) -> None:
    try:
        identity = external.verify(sign(SHARED, {**claims_of(), **claims}, **header))
    except InvalidToken:
        return
    assert 1 <= len(identity.subject) <= 255
    "".join([identity.subject, identity.email, identity.name]).encode()


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.text() | st.from_regex(r"[\w=+/-]*\.[\w=+/-]*\.[\w=+/-]*", fullmatch=True))
def test_any_text_is_refused(issuer: Issuer, raw: str) -> None:
    assert_refused(raw)
