"""The scopes that a personal token needs; views declare them as `required_scopes`, by HTTP method."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from rest_framework.request import Request

from users.resources.models import WhenDeleted
from users.resources.references import referring
from users.resources.resource import Resource, registered
from users.tokens.callers import Caller
from users.tokens.scopes import OF_NO_RESOURCE, SESSION, Need, need, need_any

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, through the settings

Scopes = Mapping[str, Need]


def known() -> list[str]:
    """All that a token may have."""
    of_resources = [scope for each in registered() for scope in (each.read_scope, each.write_scope)]
    return [*of_resources, *OF_NO_RESOURCE]


def of_view(view: "APIView", method: str) -> Need:
    """What a request of this method needs; a session, where nothing is declared."""
    declared: Scopes = getattr(view, "required_scopes", {})
    return declared.get("GET" if method == "HEAD" else method, SESSION)


def reading(resources: Iterable[Resource]) -> Need:
    return need(*(each.read_scope for each in resources))


def reading_any() -> Need:
    """Of views that say more only when they know the request: `require_reading`."""
    return need_any(*(each.read_scope for each in registered()))


def writing(resources: Iterable[Resource]) -> Need:
    return need(*(each.write_scope for each in resources))


def writing_any() -> Need:
    return need_any(*(each.write_scope for each in registered()))


def deleted_along(resource: Resource) -> list[Resource]:
    """The resources whose rows are changed when one of this goes to the trash, or comes back; itself the first.

    Without those that are its parts, as comments are a task's: rows that cannot be without it. And without those that
    stay, and lose one of several that they refer to.
    """
    found = [resource]
    for each in found:  # which grows
        optional = (by for by in referring(each.model) if by.null and by.when_deleted is not WhenDeleted.REFUSE)
        changed = {by.model for by in optional}
        found += [other for other in registered() if other.model in changed and other not in found]
    return found


def require(request: Request, needed: Need) -> None:
    """For what depends on the content of a request. Raises InsufficientScope."""
    cast(Caller, request.user).require_scopes(needed)
