"""The errors that services raise; REST renders them as problems, commands as messages."""

from typing import Any, ClassVar


class DomainError(Exception):
    """A refusal that the caller can act on.

    `code` is stable and for programs, `title` names the kind of error, `detail` is one sentence for
    this very case. `pointer` (RFC 6901) names the member of the request that is to blame, if one is.
    `current` is the object as it is stored now, for a caller who raced with another.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid"
    title: ClassVar[str] = "The request is not valid"
    retry_after: ClassVar[int | None] = None  # seconds
    # Whether what was written before this is raised shall stay: the record of a failed sign-in, an ended session.
    keeps_writes: ClassVar[bool] = False

    def __init__(self, detail: str, *, pointer: str | None = None, current: Any = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.current = current

    @property
    def members(self) -> dict[str, Any]:
        """What a problem has beside its standard members (RFC 9457, section 3.2)."""
        return {}

    @property
    def headers(self) -> dict[str, str]:
        """Those of the answer, beside what its status implies."""
        return {}


class Invalid(DomainError):
    """The values contradict each other or the stored object."""


class AuthenticationFailed(DomainError):
    status = 401
    code = "authentication_failed"
    title = "Authentication failed"


class InvalidToken(AuthenticationFailed):
    code = "invalid_token"
    title = "The token is not valid"


class Forbidden(DomainError):
    status = 403
    code = "forbidden"
    title = "Forbidden"


class NotFound(DomainError):
    status = 404
    code = "not_found"
    title = "Not found"


class BodyCutOff(DomainError):
    status = 400
    code = "malformed_body"
    title = "The body is not valid JSON"


class BodyTooSlow(DomainError):
    status = 408
    code = "body_too_slow"
    title = "The body did not arrive in time"


class Conflict(DomainError):
    status = 409
    code = "conflict"
    title = "Conflict"


class LimitReached(Conflict):
    """There are as many as there may be; `limit` says how many."""

    code = "limit_reached"
    title = "The limit is reached"

    def __init__(self, detail: str, *, limit: int) -> None:
        super().__init__(detail)
        self.limit = limit

    @property
    def members(self) -> dict[str, Any]:
        return {"limit": self.limit}


class OperationTooLarge(DomainError):
    status = 422
    code = "operation_too_large"
    title = "The operation is too large"


class KeyInFlight(Conflict):
    code = "idempotency_key_in_flight"
    title = "The first request is still in flight"
    retry_after = 1


class KeyReused(DomainError):
    status = 422
    code = "idempotency_key_reused"
    title = "The Idempotency-Key was used for another request"


class Gone(DomainError):
    status = 410
    code = "gone"
    title = "No longer there"


class PreconditionFailed(DomainError):
    status = 412
    code = "stale_version"
    title = "The object has changed"


class TargetTooLong(DomainError):
    status = 414
    code = "uri_too_long"
    title = "The address is too long"


class HeaderTooLong(DomainError):
    status = 431
    code = "header_too_long"
    title = "A header is too long"


class TooManyAtOnce(DomainError):
    status = 429
    code = "too_many_at_once"
    title = "Too many requests at once"
    retry_after = 2


class SearchTooSlow(DomainError):
    status = 422
    code = "search_too_slow"
    title = "The search took too long"


class Failed(DomainError):
    status = 500
    code = "internal_error"
    title = "Internal error"


class Unavailable(DomainError):
    status = 503
    code = "unavailable"
    title = "Service unavailable"
    retry_after = 2


class Overloaded(Unavailable):
    code = "overloaded"
    title = "The service is overloaded"


def violated_constraint(error: Exception) -> str | None:
    """The name of the constraint behind a database driver's IntegrityError, if it tells."""
    name: str | None = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    return name
