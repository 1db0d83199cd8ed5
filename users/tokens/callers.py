"""The caller of a request, as a verified token names it: nothing is read before the statement that does the work."""

import math
import uuid
from collections.abc import Callable, Collection
from functools import cached_property, partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from config.database.queries import Raw, run
from config.errors import Forbidden
from users.models import User
from users.tokens import own, personal
from users.tokens.own import AccessClaims, Grant
from users.tokens.scopes import Need, require


class EmailUnverified(Forbidden):
    code = "email_unverified"
    title = "The e-mail address is not verified"


class Standing(NamedTuple):
    """The tables and the condition in SQL under which an actor may act; the account is `users_user AS account`.

    Every statement for a caller contains it, so that the session's and the account's life are checked where the work is
    done: a session that ends between two statements of a request ends their effect, too. A statement that waits for a
    lock has checked it before.
    """

    tables: str
    condition: str
    params: tuple[object, ...]


_ACCOUNT = "users_user AS account"
_SESSION = f"{_ACCOUNT} JOIN users_session AS session ON session.user_id = account.id"
_IN_SESSION = "account.id = %s AND account.is_active AND account.token_version = %s AND session.id = %s"
_WITH_TOKEN = f"{_ACCOUNT} JOIN users_personaltoken AS token ON token.user_id = account.id"
_BY_TOKEN = (
    "account.id = %s AND account.is_active AND token.id = %s"
    " AND (token.expires_at IS NULL OR token.expires_at > statement_timestamp())"
)
_IN_VERIFIED_SESSION, _BY_VERIFIED_TOKEN = (
    f"{condition} AND account.email_verified_at IS NOT NULL" for condition in (_IN_SESSION, _BY_TOKEN)
)


class Watched(NamedTuple):
    """What has to hold as long as a caller listens, and is looked at now and then: `fallen`."""

    user_id: int
    session_id: uuid.UUID | None  # None for an external issuer's token, and for a personal one
    token_version: int
    needs_verified_email: bool
    token_id: uuid.UUID | None = None  # of a personal token


# Of those that are asked, which do not hold any more.
_FALLEN = """
    SELECT place FROM unnest(%s::bigint[], %s::uuid[], %s::bigint[], %s::boolean[], %s::uuid[])
        WITH ORDINALITY AS asked (user_id, session_id, token_version, needs_verified_email, token_id, place)
    LEFT JOIN users_user AS account ON account.id = asked.user_id AND account.is_active
    LEFT JOIN users_session AS session ON session.id = asked.session_id AND session.user_id = account.id
    LEFT JOIN users_personaltoken AS token ON token.id = asked.token_id AND token.user_id = account.id
        AND (token.expires_at IS NULL OR token.expires_at > statement_timestamp())
    WHERE account.id IS NULL OR (asked.needs_verified_email AND account.email_verified_at IS NULL)
        OR (asked.session_id IS NOT NULL AND (session.id IS NULL OR account.token_version <> asked.token_version))
        OR (asked.token_id IS NOT NULL AND token.id IS NULL)
"""


class Caller:
    """Stands for `request.user`: who asks, without the account's row, which `grant` reads when it is needed."""

    is_authenticated = True
    is_anonymous = False
    scopes: frozenset[str] | None = None  # of a personal token; None where all is allowed

    def __init__(
        self,
        pk: int,
        public_id: str,
        read: Callable[[], Grant],
        claims: AccessClaims | None = None,
        *,
        expires_at: float = math.inf,
    ) -> None:
        """`read` raises InvalidToken; `claims` are those of a token of ours, None for an external issuer's, which has
        only the moment from which on it is not accepted any more, in time.time()."""
        self.pk = pk
        self.public_id = public_id
        self._read = read
        self._claims = claims
        self.expires_at = claims.expires_at if claims else expires_at
        self.is_external = claims is None
        self._needs_verified_email = False

    @cached_property
    def grant(self) -> Grant:
        """The session and the account, read once. Raises InvalidToken and EmailUnverified."""
        grant = self._read()
        if grant.user.pk != self.pk:  # an external account was deleted, and opened anew by another token
            raise own.refusal()
        self._verify_email(grant)
        return grant

    @property
    def account(self) -> User:
        return self.grant.user

    @property
    def zone(self) -> ZoneInfo:
        return self.account.zone

    @property
    def actor(self) -> str:
        """Who changes something, for the log."""
        return f"session:{self._claims.session_id}" if self._claims else "external"

    @property
    def standing(self) -> Standing:
        claims = self._claims
        if claims is None:
            return Standing(_ACCOUNT, "account.id = %s AND account.is_active", (self.pk,))
        condition = _IN_VERIFIED_SESSION if self._needs_verified_email else _IN_SESSION
        return Standing(_SESSION, condition, (self.pk, claims.version, claims.session_id))

    @property
    def watched(self) -> Watched:
        claims = self._claims
        if claims is None:
            return Watched(self.pk, None, 0, False)
        return Watched(self.pk, claims.session_id, claims.version, self._needs_verified_email)

    def require_standing(self) -> None:
        """Raises InvalidToken unless the session and the account live."""
        self.grant  # noqa: B018 (reads them)

    def require_verified_email(self) -> None:
        """From now on, the caller may only act with a verified address; an external account's is its issuer's matter.

        Raises EmailUnverified if the account has been read already.
        """
        self._needs_verified_email = not self.is_external
        if grant := vars(self).get("grant"):
            self._verify_email(grant)

    def verify(self) -> None:
        """Read the account anew. Raises InvalidToken or EmailUnverified if the caller may not act."""
        vars(self).pop("grant", None)
        self.require_standing()

    def require_scopes(self, needed: Need) -> None:
        """Raises InsufficientScope and SessionRequired for a personal token that has not what is needed."""
        if self.scopes is not None:
            require(needed, self.scopes)

    def _verify_email(self, grant: Grant) -> None:
        if self._needs_verified_email and not grant.user.is_email_verified:
            raise EmailUnverified("Confirm your e-mail address first; POST /api/users/me/verification sends a mail.")


class TokenCaller(Caller):
    """Who asks with a personal token."""

    def __init__(self, known: personal.Known) -> None:
        super().__init__(known.user_id, known.public_id, partial(personal.grant_of, known), expires_at=known.expires_at)
        self.token_id, self.scopes = known.id, known.scopes
        self.is_external = known.is_external

    @property
    def actor(self) -> str:
        return f"token:{self.token_id}"

    @property
    def standing(self) -> Standing:
        condition = _BY_VERIFIED_TOKEN if self._needs_verified_email else _BY_TOKEN
        return Standing(_WITH_TOKEN, condition, (self.pk, self.token_id))

    @property
    def watched(self) -> Watched:
        return Watched(self.pk, None, 0, self._needs_verified_email, self.token_id)


def fallen(watched: Collection[Watched]) -> set[Watched]:
    """Those whose session, token or account has ended."""
    asked = list(watched)
    places = run(Raw(_FALLEN, [list(column) for column in zip(*asked, strict=True)])) if asked else []
    return {asked[place - 1] for (place,) in places}


Actor = User | Caller


def standing_of(actor: Actor) -> Standing:
    """An account that staff or a command acts for only has to exist."""
    return actor.standing if isinstance(actor, Caller) else Standing(_ACCOUNT, "account.id = %s", (actor.pk,))
