"""Query parameters of the history, of the trash and of sync; those of lists are in `users.resources.lists`."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from config.http.errors import InvalidParameter
from config.http.fields import TextField
from config.http.serializers import QuerySerializer
from config.values import MAX_BIGINT
from users.resources import trash
from users.resources.lists import DEFAULT_LIMIT, MAX_CURSOR, MAX_LIMIT, CountField, CursorField
from users.resources.log import Cursor
from users.resources.querysets import parse_instant
from users.resources.resource import Resource, registered
from users.sync import changes, cursors
from users.tokens.callers import Caller

HISTORY_LIMIT = 50
MAX_LOG_CURSOR = 64
MAX_ACTOR = 200
MAX_TYPE = 60
MAX_WAIT = 25  # seconds, less than what proxies wait
MAX_SYNC_CURSOR = 256
MAX_TYPES = 1000  # characters

# In place of what the field generates: types are registered after it was made.
TYPE = OpenApiParameter("type", str, enum=[each.name for each in registered()], description="Only this type.")


class TypeField(TextField):
    """The name of a resource."""

    default_error_messages = {"invalid_choice": "Use one of: {known}."}

    def to_internal_value(self, data: Any) -> Any:
        known = [resource.name for resource in registered()]
        if data not in known:
            self.fail("invalid_choice", known=", ".join(known))
        return data


class VersionField(serializers.IntegerField):
    """A number of the change counter, in ASCII digits."""

    def __init__(self, *, min_value: int = 1, **kwargs: Any) -> None:
        super().__init__(min_value=min_value, max_value=MAX_BIGINT, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if not (len(data) <= len(str(MAX_BIGINT)) and data.isascii() and data.isdecimal()):
            self.fail("invalid")
        return int(data)


class LogCursorField(CursorField):
    decode = Cursor.decode


class PageQuery(QuerySerializer):
    """A page of entries, the newest first; its cursor names the first of the next page."""

    limit = CountField(min_value=1, max_value=MAX_LIMIT, default=HISTORY_LIMIT, help_text="Entries per page.")
    cursor = LogCursorField(required=False, max_length=MAX_LOG_CURSOR, help_text="From the Link header.")


class HistoryQuery(PageQuery):
    filters = frozenset({"actor", "operation", "type"})  # which an empty value leaves out

    actor = TextField(
        required=False,
        allow_blank=True,
        max_length=MAX_ACTOR,
        help_text="Who has done it, as entries say: `session:…`, `token:…`, `staff:…`, `command`, `worker` or "
        "`external`.",
    )
    operation = VersionField(required=False, help_text="The number of an operation: what one request has done.")
    type = TypeField(required=False, max_length=MAX_TYPE)


class TrashCursorField(CursorField):
    def to_internal_value(self, data: Any) -> Any:
        name, deleted_at, pk = super().to_internal_value(data)
        try:
            if name in {resource.name for resource in registered()}:
                return trash.Key(parse_instant(deleted_at or ""), name, pk)
        except ValueError:
            pass
        self.fail("invalid_cursor")


class TypeQuery(QuerySerializer):
    type = TypeField(required=False, max_length=MAX_TYPE)


def chosen(query: Mapping[str, Any]) -> tuple[Resource, ...]:
    """The resource of the parameter `type`, or all."""
    return tuple(each for each in registered() if each.name == query.get("type", each.name))


class TrashQuery(TypeQuery):
    limit = CountField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT, help_text="Objects per page.")
    cursor = TrashCursorField(required=False, max_length=MAX_CURSOR, help_text="From the Link header.")


class TypesField(TypeField):
    """Names of resources, with commas between them."""

    def to_internal_value(self, data: Any) -> Any:
        return tuple(sorted({super(TypesField, self).to_internal_value(name) for name in data.split(",")}))


class SyncCursorField(CursorField):
    decode = cursors.Cursor.decode
    default_error_messages = {"invalid_cursor": "Send the cursor that you got last, unchanged."}


class ChangesQuery(QuerySerializer):
    filters = frozenset({"types"})

    since = SyncCursorField(required=False, max_length=MAX_SYNC_CURSOR, help_text="The cursor that you got last.")
    types = TypesField(required=False, allow_blank=True, max_length=MAX_TYPES)
    limit = CountField(
        min_value=1, max_value=changes.MAX_LIMIT, default=changes.DEFAULT_LIMIT, help_text="Changes per page."
    )
    wait = CountField(
        min_value=0,
        max_value=MAX_WAIT,
        default=0,
        help_text="Seconds to wait for a change, if there is none; where streams are off, the answer comes at once.",
    )

    @classmethod
    def of_caller(cls, request: HttpRequest, caller: Caller) -> Mapping[str, Any]:
        """The validated parameters of their request. Raises InvalidParameter, also for the cursor of another user."""
        query = cls.validated(request)
        if "since" in query and query["since"].user_id != caller.pk:
            raise _invalid_cursor("This is the cursor of another user; begin anew without it.")
        return query

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "since" in attrs and attrs["since"].type not in ("", *attrs.get("types", changes.types())):
            raise _invalid_cursor("The cursor belongs to other types; send the same ones for every page.")
        return attrs


def _invalid_cursor(message: str) -> InvalidParameter:
    return InvalidParameter({"since": [ErrorDetail(message, code="invalid_cursor")]})


# In place of what the field generates, likewise.
TYPES = OpenApiParameter(
    "types",
    {"type": "array", "items": {"type": "string", "enum": list(changes.types())}, "minItems": 1},
    style="form",
    explode=False,
    description="Only these types, for example `task,project`. Send the same ones for every page.",
)
