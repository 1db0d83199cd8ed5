"""The errors that every resource has."""

from collections.abc import Collection
from functools import cache
from typing import TypeVar

from django.db.models import UniqueConstraint

from config.database.transactions import refusals
from config.errors import Conflict, Invalid, NotFound, PreconditionFailed
from users.resources.models import OwnedModel, Reference
from users.resources.pairs import References
from users.resources.resource import registered

R = TypeVar("R", bound=OwnedModel)

# The fields of the constraints that every resource has.
_BASE = {each.fields for each in OwnedModel.Meta.constraints if isinstance(each, UniqueConstraint)}


class UidTaken(Conflict):
    code = "uid_taken"
    title = "The uid is taken"


class Taken(Conflict):
    """Another row has what only one may have."""

    code = "taken"
    title = "The value is taken"


class StaleVersion(PreconditionFailed):
    """A failed If-Match; carries the current row."""


class RowNotFound(NotFound):
    """The base of each resource's own error; `not_found` makes them."""


class StillReferred(Conflict):
    code = "still_referred"
    title = "Others refer to it"


class InTrash(Conflict):
    code = "in_trash"
    title = "What it belongs to is in the trash"


class ConflictingMembers(Invalid):
    code = "conflicting_members"


class UnknownReference(Invalid):
    """The base of each reference's own error; `unknown` makes them."""


class TooDeep(Invalid):
    code = "too_deep"


class Cycle(Invalid):
    code = "cycle"


@cache
def not_found(model: type[OwnedModel]) -> type[RowNotFound]:
    """The error class of a model, with its code and title: `task_not_found`, No such task."""
    name = str(model._meta.verbose_name)
    code = f"{name.replace(' ', '_')}_not_found"
    members = {"code": code, "title": f"No such {name}", "__module__": model.__module__}
    return type(f"{model.__name__}NotFound", (RowNotFound,), members)


def no_such(model: type[OwnedModel], by: str = "id") -> RowNotFound:
    """One error for another user's row and for one that does not exist."""
    return not_found(model)(f"You have no {model._meta.verbose_name} with this {by}.")


def not_in_trash(model: type[OwnedModel]) -> RowNotFound:
    return not_found(model)(f"There is no {model._meta.verbose_name} with this id in your trash.")


def checked(row: R | None, model: type[R], expected: Collection[int] | None) -> R:
    """Raises RowNotFound without a row, and StaleVersion unless its version is among the expected ones."""
    if row is None:
        raise no_such(model)
    if expected is not None and row.version not in expected:
        raise StaleVersion(
            f"The {model._meta.verbose_name} is at version {row.version} now; merge your change into `current` and try "
            "again.",
            current=row,
        )
    return row


@cache
def _unknown(name: str) -> type[UnknownReference]:
    return type(
        f"Unknown{name.title().replace('_', '')}",
        (UnknownReference,),
        {"code": f"unknown_{name}", "__module__": __name__},
    )


def unknown(reference: Reference, member: str) -> UnknownReference:
    """One error for another user's row, one in the trash, and one that does not exist: `unknown_project`."""
    name = reference.related_model._meta.verbose_name
    return _unknown(reference.name)(f"You have no {name} with this {member.rpartition('_')[2]}.", pointer=f"/{member}")


def unknown_ones(references: References, member: str) -> UnknownReference:
    """The same where several are named: `unknown_label`."""
    name, by = references.target._meta.verbose_name, member.rpartition("_")[2]
    return _unknown(references.stem)(f"You have no {name} with one of these {by}.", pointer=f"/{member}")


@cache
def _follows(name: str) -> type[Invalid]:
    members = {"code": f"{name}_follows_parent", "__module__": __name__}
    return type(f"{name.title()}FollowsParent", (Invalid,), members)


def follows_parent(name: str, member: str, kind: str) -> Invalid:
    """Of a member that a row of a tree has from its parent: `project_follows_parent`."""
    return _follows(name)(f"The {name} of a {kind} is that of its parent; leave it out.", pointer=f"/{member}")


def in_trash(reference: Reference) -> InTrash:
    return InTrash(f"Its {reference.related_model._meta.verbose_name} is in the trash; restore that first.")


def taken(name: str | None) -> Taken | None:
    """Of a violated constraint: what is unique of a resource, beside its uid."""
    for model in (resource.model for resource in registered()):
        for constraint in model._meta.constraints:
            if isinstance(constraint, UniqueConstraint) and constraint.name == name and constraint.fields not in _BASE:
                return _taken(model, constraint)
    return None


def _taken(model: type[OwnedModel], constraint: UniqueConstraint) -> Taken:
    kind = model._meta.verbose_name
    fields = {each.name: each.attname for each in model._meta.concrete_fields}
    members = [fields[each] for each in constraint.fields if each != "user"]
    if not members:  # one for each account, or unique by an expression
        return Taken(f"You have such a {kind}; change that one.")
    which = " and ".join(each.removesuffix("_id").replace("_", " ") for each in members)
    return Taken(f"You have a {kind} with this {which}.", pointer=f"/{members[-1]}")


refusals.append(taken)
