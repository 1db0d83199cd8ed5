"""What the suite takes from a declaration: the requests that a resource answers, its rows, and where it is served."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.db import connection
from django.db.models import UniqueConstraint
from django.db.models.signals import post_save
from django.test import override_settings
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework.fields import Field
from rest_framework.serializers import Serializer

import config.urls
from config.database.isolation import all_users
from config.http.fields import InstantField
from tests.client import Api
from tests.notes.resource import NOTES
from tests.problems import send
from users import exports
from users.api.resources import routes, viewset
from users.api.views import rxdb
from users.models import User
from users.resources import resource as registry
from users.resources.errors import Taken
from users.resources.models import OwnedModel, Reference
from users.resources.resource import Resource, register, registered

RESOURCES = [*registered(), NOTES]
# The one of the tests shows that the kit knows no resource, which those of the service show of most of it.
THOROUGH = {NOTES.name: [pytest.mark.thorough]}
_numbers = count(1)
_unbounded: dict[Any, Any] = {}  # models whose constraints are away


@contextmanager
def installed(resource: Resource) -> Iterator[None]:
    """As if an app had registered it before the addresses were made; the others stay as they are.

    So the resource of the tests is served to the tests that are about it, and stands in no document.
    """
    if resource in registered():
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_registered", {**registry._registered})
        patch.setattr(exports, "_sections", {**exports._sections})
        register(resource)
        urls = ModuleType("urls")
        urls.__dict__.update(vars(config.urls))
        urls.__dict__["urlpatterns"] = [*routes(resource), *rxdb.routes(resource), *config.urls.urlpatterns]
        with override_settings(ROOT_URLCONF=urls):
            yield


# --- Cases ------------------------------------------------------------------------------------------


def each(cases: Callable[[Resource], Mapping[str, Any]]) -> pytest.MarkDecorator:
    """The test for every resource, and with every one of its cases as `case`."""
    rows = [
        pytest.param(resource, case, id=f"{resource.name}-{name}", marks=THOROUGH.get(resource.name, []))
        for resource in RESOURCES
        for name, case in cases(resource).items()
    ]
    return pytest.mark.parametrize(("resource", "case"), rows, indirect=["resource"])


# --- Requests ---------------------------------------------------------------------------------------


def address(resource: Resource, row_id: object = None, user_id: object = "me") -> str:
    """Of a row, or of the list."""
    collection = f"/api/{user_id}/{resource.plural}"
    return collection if row_id is None else f"{collection}/{row_id}"


@cache
def fields_of(serializer: type[Serializer]) -> Mapping[str, Field]:
    """To look at: those of a new serializer are copied each time, which takes a tenth of this suite."""
    return serializer().fields


def required_members(resource: Resource) -> list[str]:
    """Those that a body lacks without which its validation ends."""
    return [name for name, field in fields_of(resource.serializer).items() if field.required]


def required(resource: Resource) -> dict[str, Any]:
    """The least that makes a row."""
    values = {name: resource.example[name] for name in required_members(resource)}
    return values | {f"{each.name}_uid": NEEDED for each in needed(resource.model)}


def example(resource: Resource) -> dict[str, Any]:
    """As it is declared, but that it refers to what every user has."""
    ids = {each.attname for each in needed(resource.model)}
    return {name: value for name, value in resource.example.items() if name not in ids} | required(resource)


def shown_example(resource: Resource) -> dict[str, Any]:
    """Of it, what an answer has."""
    members = shown_members(resource)
    return {name: value for name, value in example(resource).items() if name in members}


def shown_members(resource: Resource) -> list[str]:
    """What an answer has."""
    return [name for name, field in fields_of(resource.serializer).items() if not field.write_only]


def label(resource: Resource) -> str:
    """The member by which people know a row."""
    return resource.text[0]


def words(resource: Resource, *, plural: bool = False) -> str:
    """What people read: a resource's name without `_`."""
    opts = resource.model._meta
    return str(opts.verbose_name_plural if plural else opts.verbose_name)


def named(resource: Resource, text: str) -> dict[str, Any]:
    """What makes a row, or changes it, so that it is known by this text."""
    return {**required(resource), label(resource): text}


def typed(resource: Resource, user: User, text: str) -> dict[str, Any]:
    """The same in a form of the admin, which names others by their ids."""
    values = {name: value for name, value in named(resource, text).items() if not name.endswith("_uid")}
    targets = needed(resource.model)
    rows = {each.attname: each.related_model._default_manager.get(user=user, uid=NEEDED) for each in targets}
    fields = fields_of(resource.serializer)
    for name in [name for name in values if isinstance(fields[name], InstantField)]:  # of which a form has two parts
        values[f"{name}_0"], values[f"{name}_1"] = values.pop(name).removesuffix("Z").split("T")
    return values | {name: str(row.pk) for name, row in rows.items()}


def takes(resource: Resource, name: str, value: Any) -> bool:
    """Whether the member can have this value."""
    try:
        fields_of(resource.serializer)[name].run_validation(value)
    except ValidationError:
        return False
    return True


# Of rows that actions of their own are about, by the suffix.
_STATES: dict[str, dict[str, Any]] = {
    "/skip": {"status": "pending", "due_date": dt.date(2026, 11, 28), "recurrence": {"rule": "FREQ=DAILY"}},
    "/completions": {"is_completed": True},
}


class Operation(NamedTuple):
    method: str
    is_of_one: bool
    has_body: bool
    status: int
    suffix: str = ""
    is_by_uid: bool = False
    is_in_trash: bool = False  # its address is there
    is_of_trash: bool = False  # it is about a row in the trash
    finds_deleted: bool = False  # of one that is in the trash

    @property
    def makes_rows(self) -> bool:
        """Whether it creates the row that is not there."""
        return self.is_by_uid and self.method == "PUT"

    def prepare(self, resource: Resource, row: OwnedModel) -> None:
        """Put the row where the operation finds it, in a state that it is about."""
        if self.is_of_trash:
            resource.delete(row.user, row.pk)
        if self.suffix in _STATES:
            resource.update(row.user, row.pk, _STATES[self.suffix])

    def call(self, api: Api, resource: Resource, row_id: object, user_id: object = "me", **environ: str) -> Any:
        return self.at(self.place(resource, row_id, user_id), api, resource, **environ)

    def at(self, place: str, api: Api, resource: Resource, **environ: str) -> Any:
        """Requests of the same id, so that answers can be compared byte for byte."""
        body = named(resource, "New") if self.has_body else b""
        return send(api, self.method, place, body, HTTP_X_REQUEST_ID="same", **environ)

    def place(self, resource: Resource, row_id: object, user_id: object) -> str:
        if self.is_in_trash:
            return f"/api/{user_id}/trash/{resource.name}/{row_id}"
        if self.is_by_uid:
            return by_uid(resource, uid_of(resource, row_id), user_id)
        return address(resource, row_id if self.is_of_one else None, user_id) + self.suffix


def by_uid(resource: Resource, encoded: object, user_id: object = "me") -> str:
    return f"{address(resource, user_id=user_id)}/by-uid/{encoded}"


def uid_of(resource: Resource, row_id: object) -> str:
    """As it stands in a path; of what is no row, the text that is none of ours, either."""
    row = resource.model.objects.filter(pk=row_id).first() if isinstance(row_id, int) and row_id < 2**63 else None
    return quote(row.uid, safe="") if row else str(row_id)


def operations(resource: Resource) -> dict[str, Operation]:
    """By operation id, what the resource serves; actions of its own are called without a body."""
    actions: list[Any] = viewset(resource).get_extra_actions()
    title = resource.title
    of_row = {
        f"get{title}": Operation("GET", True, False, 200),
        f"put{title}": Operation("PUT", True, True, 200),
        f"update{title}": Operation("PATCH", True, True, 200),
        f"delete{title}": Operation("DELETE", True, False, 204),
    }
    return {
        f"list{resource.titles}": Operation("GET", False, False, 200),
        f"create{title}": Operation("POST", False, True, 201),
        **of_row,
        **{f"{name}ByUid": operation._replace(is_by_uid=True) for name, operation in of_row.items()},
        f"erase{title}": Operation("DELETE", True, False, 204, is_in_trash=True, is_of_trash=True),
        f"list{title}History": Operation("GET", True, False, 200, "/history", finds_deleted=True),
        **{
            f"list{title}{name.title()}" if method == "get" else f"{name}{title}": Operation(
                method.upper(), True, False, 200, f"/{action.url_path}", is_of_trash=name == "restore"
            )
            for action in actions
            for method, name in action.mapping.items()
            if name != "history"  # above
        },
    }


def of_one(resource: Resource) -> dict[str, Operation]:
    """Those of a row that has to be there, and not in the trash."""
    return {
        name: operation
        for name, operation in operations(resource).items()
        if operation.is_of_one and not (operation.makes_rows or operation.is_of_trash)
    }


def changing(resource: Resource) -> dict[str, Operation]:
    """Those that write a row that is there."""
    return {
        name: operation
        for name, operation in operations(resource).items()
        if operation.is_of_one and operation.method != "GET"
    }


@contextmanager
def unbounded(resource: Resource) -> Iterator[None]:
    """Without a limit of its own, and without what is unique beside the uid: the tests of the resource hold those.

    So that the suite may make as many rows alike as it likes; also of what its rows cannot be without.
    """
    with ExitStack() as stack:
        targets = {each.related_model for each in needed(resource.model)}
        for target in [each for each in registered() if each.model in targets]:
            stack.enter_context(unbounded(target))
        stack.enter_context(_unbounded_alone(resource))
        yield


@contextmanager
def _unbounded_alone(resource: Resource) -> Iterator[None]:
    own = [each for each in resource.model._meta.constraints if isinstance(each, UniqueConstraint)][2:]
    own = [] if resource.model in _unbounded else own
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource.model, "max_rows", None)
        patch.setitem(_unbounded, resource.model, own)
        if own and connection.in_atomic_block:
            with connection.cursor() as cursor:  # a table with checks that wait for the commit cannot be altered
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        with connection.schema_editor(atomic=False) as editor:
            for each in own:
                editor.remove_constraint(resource.model, each)
        yield
        if own and not connection.in_atomic_block:
            with all_users():
                resource.model._default_manager.all().delete()
            with connection.schema_editor() as editor:
                for each in own:
                    editor.add_constraint(resource.model, each)


# --- What rows refer to -----------------------------------------------------------------------------

NEEDED = "needed"  # the uid of what a row cannot be without


def needed(model: type[OwnedModel]) -> list[Reference]:
    return [each for each in model.references() if not each.null]


@contextmanager
def provided(resource: Resource) -> Iterator[None]:
    """Every user has a row of each kind that the resource's rows cannot be without.

    It is stored without a number of the change counter, so that the numbers are those of the resource's own rows.
    """

    def follow(instance: User, created: bool, **signal: Any) -> None:
        if created:
            provide(resource.model, instance)

    targets = needed(resource.model)
    if targets:
        post_save.connect(follow, User, weak=False)
        for user in User.objects.all():
            provide(resource.model, user)
    yield
    if targets:
        post_save.disconnect(follow, User)


def declared_of(model: Any) -> Resource:
    return next(each for each in registered() if each.model is model)


def provide(model: type[OwnedModel], user: User) -> None:
    for reference in needed(model):
        target: Any = reference.related_model
        provide(target, user)
        if target.objects.filter(user=user, uid=NEEDED).exists():
            continue
        declared = declared_of(target)
        now = timezone.now()
        row: Any = target(user=user, uid=NEEDED, created_at=now, updated_at=now, version=0)
        values = dict(declared.serializer.validated(required(declared)))
        rows = {each.attname: each.related_model._default_manager for each in needed(target)}
        ids = {name: manager.get(user=user, uid=NEEDED).pk for name, manager in rows.items()}
        row.apply({name: value for name, value in values.items() if not name.endswith("_uid")} | ids, user, now)
        row.save()


# --- Rows -------------------------------------------------------------------------------------------


def make(resource: Resource, user: User, **sent: Any) -> OwnedModel:
    """A row of the user's, of what a client could send."""
    body = {**required(resource), **sent}
    try:
        row: OwnedModel = resource.create(user, **resource.serializer.validated(body))
    except Taken:  # what is unique of another row
        body[label(resource)] = f"{body[label(resource)]} {next(_numbers)}"
        row = resource.create(user, **resource.serializer.validated(body))
    return row


def rename(resource: Resource, row: OwnedModel, text: str = "Changed") -> None:
    resource.update(row.user, row.pk, {label(resource): text})


def text_of(resource: Resource, row: OwnedModel) -> str:
    row.refresh_from_db()
    text: str = getattr(row, label(resource))
    return text
