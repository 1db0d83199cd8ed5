"""The declaration of a resource, and the registry that every interface reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from users import exports
from users.resources.models import OwnedModel

if TYPE_CHECKING:
    from config.http.serializers import QuerySerializer, StrictSerializer
    from users.resources.lists import ListQuery
    from users.resources.serializers import ResourceSerializer

_registered: dict[str, "Resource"] = {}  # by name, in the order of registration


@dataclass(frozen=True)
class Resource:
    """A table of users' rows, with everything that REST, admin, export and commands need to serve it.

    `create(user, **fields)`, `update(user, id, changes, *, expected_version)`, `delete(user, id, *, expected_version)`
    and `restore(user, id, *, expected_version)` are services that return the row; `delete_many(user, ids)` and
    `restore_many(user, ids)` do the same with several rows, as one operation, and return those that they have changed;
    `create_many(user, rows)` is `writes.insert_many`, with the fields of each row.
    `text` are the fields that only staff with the permission `view_…_text` sees, and that the audit never holds; the
    first of them is the title. `delete_query` are the parameters of DELETE, which `delete` takes, too. `actions` are
    other changes of a row: by name, the serializer of what is sent, and a service like `update`. `viewset` is the
    dotted name of a ResourceViewSet with these actions; `routes`, of a list of URL patterns beside those of its rows;
    `dashboard`, of a function that makes the context of the admin's first page from a request.
    """

    name: str
    plural: str
    model: type[OwnedModel]
    serializer: type["ResourceSerializer"]
    list_query: type["ListQuery"]
    create: Callable[..., Any]
    create_many: Callable[..., list[Any]]
    update: Callable[..., Any]
    delete: Callable[..., Any]
    restore: Callable[..., Any]
    delete_many: Callable[..., Any]
    restore_many: Callable[..., Any]
    text: tuple[str, ...]
    example: Mapping[str, Any]
    icon: str
    viewset: str = "users.api.resources.ResourceViewSet"
    delete_query: type["QuerySerializer"] | None = None
    actions: Mapping[str, tuple[type["StrictSerializer"], Callable[..., Any]]] = field(default_factory=dict)
    routes: str | None = None
    dashboard: str | None = None

    @property
    def text_permission(self) -> str | None:
        """What staff needs to read the text, where there is any; `Meta.permissions` of the model has it."""
        return f"{self.model._meta.app_label}.view_{self.name}_text" if self.text else None

    @property
    def reading(self) -> list[str]:
        """The permissions of staff that sees all of a row."""
        view = f"{self.model._meta.app_label}.view_{self.model._meta.model_name}"
        return [view, self.text_permission] if self.text_permission else [view]

    @property
    def read_scope(self) -> str:
        """What a personal token needs to read rows."""
        return f"{self.plural}:read"

    @property
    def write_scope(self) -> str:
        return f"{self.plural}:write"

    @property
    def title(self) -> str:
        """The name in CamelCase, for classes and operation ids: `Task`."""
        return self.name.title().replace("_", "")

    @property
    def example_title(self) -> str:
        return str(next(iter(self.example.values())))

    @property
    def titles(self) -> str:
        return self.plural.title().replace("_", "")


def register(resource: Resource) -> None:
    """Register a resource and its section of the export, in the `ready()` of its app.

    The export has the columns of the serializer, and when the row was deleted. Raises ImproperlyConfigured for a second
    resource that the feed counts, and for a name that is not that of the model.
    """
    counted = [each.name for each in _registered.values() if each.model.is_counted and each.name != resource.name]
    if counted and resource.model.is_counted:
        raise ImproperlyConfigured(
            f"{resource.name} and {counted[0]} are both counted by the change counter, which counts one model."
        )
    if resource.name != resource.model.type_name():
        raise ImproperlyConfigured(f"{resource.name} is named otherwise than its model: {resource.model.type_name()}.")
    _registered[resource.name] = resource
    columns = {field.attname for field in resource.model._meta.concrete_fields} - {"user_id"}
    exported = [name for name in resource.serializer._declared_fields if name in columns]
    exports.register(resource.plural)(
        lambda user: exports.rows(resource.model.objects.for_user(user), *exported, "deleted_at", "erased_at")
    )


def registered() -> tuple[Resource, ...]:
    return tuple(_registered.values())
