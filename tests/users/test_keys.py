"""The keys that sign our tokens: which one, how they are rotated, and what else could pass for one."""

import jwt
import pytest
from pytest_django import Settings

from config.errors import InvalidToken
from tests.client import Api
from tests.factories import make_session, make_tokens
from users import services
from users.models import User
from users.tokens import own

OLD, NEW, STRANGE = "o" * 48, "n" * 48, "s" * 48


@pytest.fixture
def rotated(alice: User, settings: Settings) -> own.TokenPair:
    """Tokens that were signed before the key was rotated."""
    settings.JWT_SIGNING_KEY = OLD
    pair = make_tokens(alice)
    settings.JWT_SIGNING_KEY, settings.JWT_VERIFYING_KEYS = NEW, [STRANGE, OLD]
    return pair


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_a_former_key_still_verifies_and_the_new_one_signs(rotated: own.TokenPair) -> None:
    assert Api().get("/api/users/me", authorization=f"Bearer {rotated.access}").status_code == 200
    answer = Api().post("/api/auth/refresh", {"refresh": rotated.refresh})
    assert answer.status_code == 200
    assert kid(answer.json()["refresh"]) != kid(rotated.refresh)
    assert jwt.decode(answer.json()["access"], NEW, ["HS256"], audience="tickbase")["sub"]


def test_a_key_that_was_taken_out_verifies_nothing(rotated: own.TokenPair, settings: Settings) -> None:
    settings.JWT_VERIFYING_KEYS = [STRANGE]
    with pytest.raises(InvalidToken):
        own.authenticate(rotated.access)
    with pytest.raises(InvalidToken):
        services.refresh(rotated.refresh)


def test_the_key_is_the_one_that_the_token_names(rotated: own.TokenPair) -> None:
    """Not any of them: signed with one and naming another, a token is refused."""
    claims = jwt.decode(rotated.access, options={"verify_signature": False})
    mixed = jwt.encode(claims, STRANGE, "HS256", headers={"kid": kid(rotated.access)})
    with pytest.raises(InvalidToken):
        own.authenticate(mixed)


@pytest.mark.parametrize("header", [{}, {"kid": ""}, {"kid": "x"}, {"kid": "../../dev/null"}])
def test_a_token_without_a_key_of_ours_is_refused(alice: User, settings: Settings, header: dict[str, str]) -> None:
    claims = jwt.decode(make_tokens(alice).access, options={"verify_signature": False})
    with pytest.raises(InvalidToken):
        own.authenticate(jwt.encode(claims, settings.JWT_SIGNING_KEY, "HS256", headers=header))


def test_the_name_of_a_key_tells_nothing_of_it(alice: User, settings: Settings) -> None:
    name = kid(make_tokens(alice).access)
    assert len(name) == 12
    assert name not in settings.JWT_SIGNING_KEY


@pytest.mark.parametrize("setting", ["JWT_ISSUER", "JWT_AUDIENCE"])
def test_tokens_of_another_installation_with_the_same_key_are_refused(
    alice: User, settings: Settings, setting: str
) -> None:
    pair = make_tokens(alice)
    setattr(settings, setting, "another")
    with pytest.raises(InvalidToken):
        own.authenticate(pair.access)
    with pytest.raises(InvalidToken):
        own.read_refresh(pair.refresh)


def test_each_kind_of_token_serves_only_its_purpose(alice: User) -> None:
    pair = make_tokens(alice)
    with pytest.raises(InvalidToken):
        own.authenticate(pair.refresh)
    with pytest.raises(InvalidToken):
        own.read_refresh(pair.access)


def test_a_pair_can_be_signed_again_and_again(alice: User) -> None:
    session = make_session(alice)
    assert own.mint(session) == own.mint(session)
