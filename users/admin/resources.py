"""ResourceAdmin: the text permission, the trash, writes through services, and the audit of reads."""

from collections.abc import Callable, Iterable
from itertools import groupby
from operator import attrgetter
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from config.admin.base import SHOWN
from config.admin.lists import is_large
from users.admin import references
from users.admin.audited import Done, note_reading, reads_text
from users.admin.history import HistoryAdmin
from users.admin.lists import number_in, with_email
from users.admin.rows import BY_ID, DeletedFilter, ListedForm, RowForm, RowFormSet, RowList, shows_tombstones
from users.resources.models import OwnedModel
from users.resources.references import followers

MAX_OWNERS = 100  # that one search finds
SEARCHED = 100_000  # ids, from the newest, whose text is searched in a large table
SEARCHES_NEWEST = f"Only the latest {SEARCHED:,} were searched: filter by an owner to search all of theirs."


class ResourceAdmin(HistoryAdmin):
    """The admin of a resource's rows, of all users. Each write takes a number of the owner's change counter.

    Subclasses name their `resource`, their `list_display`, which begins with the title, and their `fieldsets`, to which
    the row's record is added. Staff without the text permission sees ids in place of titles, and neither fields nor
    filters that reveal text. A column that is named as a reference links what it refers to, and the page of a row has
    what is around it.
    """

    text_filters: ClassVar[tuple[Any, ...]] = ()  # those of `list_filter` that reveal text
    text_columns: ClassVar[tuple[str, ...]] = ()  # methods that reveal text, as columns or read-only fields

    form = RowForm
    list_filter: Any = (DeletedFilter, ("user", AutocompleteSelectFilter), "created_at")
    list_filter_submit = True
    change_form_outer_after_template = "users/admin/relatives.html"
    actions: Any = ("restore",)
    date_hierarchy = "created_at"
    ordering = ("-pk",)  # of the rows of all users, only this order has an index
    search_help_text = f"Text. {BY_ID}"
    autocomplete_fields = ("user",)
    readonly_fields: Any = ("version", "created_at", "updated_at")

    def __init__(self, model: type[OwnedModel], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self.icon, self.unrecorded = self.resource.icon, self.resource.text
        # Filtering or sorting by a derived column reveals the text that it is derived from.
        self.revealing = {*self.resource.text, *model.derived, *self.text_columns}
        assert self.revealing.isdisjoint(self.list_editable), "editing text in the list would reveal it"
        self.number_link = admin.display(description=self.opts.verbose_name, ordering="pk")(lambda row: str(row))

    # --- Text permission ----------------------------------------------------------------------------

    def reads_text(self, request: HttpRequest) -> bool:
        return reads_text(request, self.resource)

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if not self.reads_text(request):
            columns = ["number_link", *self._without_text(columns[1:])]
        columns = references.columns(request, self.model, columns)
        return [columns[0], "history_link", *columns[1:]] if shows_tombstones(request) else columns

    def state_of(self, row: Any) -> str:
        """What to say of a row where it stands in the list of another one's page."""
        return ""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return (*self.fieldsets, ("Identity", {"fields": ("uid",)}))
        record = {"fields": ("uid", *self.readonly_fields), "description": "Times are in UTC."}
        fieldsets = (*self.fieldsets, ("Record", record))
        if self.reads_text(request):
            return fieldsets
        shown = [(name, {**options, "fields": self._without_text(options["fields"])}) for name, options in fieldsets]
        return [(name, options) for name, options in shown if options["fields"]]

    def _without_text(self, names: Iterable[Any]) -> list[Any]:
        return [name for name in names if name not in self.revealing]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.readonly_fields
        # What is read-only is no field of the form.
        return (*self.readonly_fields, "user", "uid", *(() if self.reads_text(request) else self.resource.text))

    def search(self, request: HttpRequest, queryset: Any, term: str) -> Any:
        """By id, uid and the owner's e-mail address; by text for staff who may read it."""
        owners = [*with_email(term).values_list("pk", flat=True)[:MAX_OWNERS]] if "@" in term else []
        if owners:
            return queryset.filter(user__in=owners), False
        number = number_in(term)
        # Its index begins with the owner, and is read as a whole; OR would read the table.
        pks = [*self.model.objects.filter(uid=term).order_by().values_list("pk", flat=True)[:MAX_OWNERS]]
        pks += [number] if number else []
        found = queryset.filter(pk__in=pks)
        is_found = found.exists()
        if not self.reads_text(request) or (is_found and self.is_vast(request)):
            return found, False
        with_text = self.search_text(request, self.searched(request, queryset), term)
        return found | with_text if is_found else with_text, False

    def searched(self, request: HttpRequest, queryset: Any) -> Any:
        """The rows that are searched for text: of a large table the latest, which a message tells."""
        if not self.is_vast(request):
            return queryset
        newest = self.model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        self.message_user(request, SEARCHES_NEWEST, messages.INFO)
        return queryset.filter(pk__gt=newest - SEARCHED)

    def search_text(self, request: HttpRequest, queryset: Any, term: str) -> Any:
        return super().search(request, queryset, term)[0]

    def is_vast(self, request: HttpRequest) -> bool:
        """Whether the list has too many rows to sort or search while somebody waits; one owner never has."""
        return references.OWNER not in request.GET and is_large(self.model)

    def get_sortable_by(self, request: HttpRequest) -> Any:
        return () if self.is_vast(request) else super().get_sortable_by(request)

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)
        return filters if self.reads_text(request) else [each for each in filters if each not in self.text_filters]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        if not self.revealing.isdisjoint(lookup.split("__")) and (request is None or not self.reads_text(request)):
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed

    def get_queryset(self, request: HttpRequest) -> Any:
        rows: Any = super().get_queryset(request)
        return rows.visible().select_related("user")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RowList]:
        return RowList

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_form(request, form=ListedForm, fields=self.list_editable, **kwargs)

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_formset(request, formset=RowFormSet, **kwargs)

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """A tombstone has no page but its history."""
        return None if shows_tombstones(request) else super().get_list_display_links(request, list_display)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        return {name: action for name, action in actions.items() if (name == "restore") == shows_tombstones(request)}

    # --- Audit of reads -----------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        response = super().changelist_view(request, extra_context)
        if changelist := (getattr(response, "context_data", None) or {}).get("cl"):
            note_reading(request, self.resource, changelist.result_list, page="list")
            listed = references.listed(self.model, self.list_display)
            references.note_referred(request, changelist.result_list, listed, page="list")
        return response

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if obj is not None:
            note_reading(request, self.resource, [obj], page=self.resource.name)
            context["relatives"] = references.relatives(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    # --- Writes, through the resource's services -----------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values: dict[str, Any] = form.cleaned_data
        if change:
            changes = {name: values[name] for name in form.changed_data}
            # A row of the list was compared with what is stored before anything was locked.
            unchanged = {obj.version} if isinstance(form, ListedForm) else None
            self.resource.update(obj.user, obj.pk, changes, expected_version=unchanged)
        else:
            fields = {name: value for name, value in values.items() if name != "user"}
            obj.pk = self.resource.create(obj.user, **fields).pk

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.resource.delete(obj.user, obj.pk)

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:
        """The rows by name, and how many of which kind become tombstones with them."""
        rows = list(objs)
        if "post" not in request.POST:
            note_reading(request, self.resource, rows[:SHOWN], page="deletion")
        title = self.resource.text[:1] if self.reads_text(request) else ()
        links = [self.change_link(row, *(getattr(row, name) for name in title)) for row in rows]
        along = followers(self.model, rows)
        counts = {str(model._meta.verbose_name_plural): len(pks) for model, pks in along.items()}
        return self.deletion_links(links), counts, _refused(request, along), []

    def run_action(self, name: str, run: Callable[..., Any], request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Django would log and count also the rows that were deleted meanwhile."""
        if name != "delete_selected" or not request.POST.get("post"):
            return super().run_action(name, run, request, queryset)
        if _refused(request, followers(self.model, queryset)):
            raise PermissionDenied
        done = self.call_many(queryset, self.resource.delete_many)
        self.log_deletions(request, done)
        self.message_user(request, f"Successfully deleted {self.counted(done)}.", messages.SUCCESS)
        return None

    @admin.action(description="Restore", permissions=["change"])
    def restore(self, request: HttpRequest, queryset: Any) -> Done:
        return self.run_many(request, queryset.trashed(), self.resource.restore_many, "Restored")

    def run_many(self, request: HttpRequest, rows: QuerySet[Any], service: Callable[..., Any], did: str) -> Done:
        """The body of an action: call a service for the rows, and show how many it has changed."""
        done = self.call_many(rows, service)
        self.message_user(request, f"{did}: {self.counted(done)}.", messages.SUCCESS)
        return Done(done)

    def call_many(self, rows: QuerySet[Any], service: Callable[..., Any]) -> list[Any]:
        """Call a service with the rows of each owner, which is one operation of theirs; returns those that it changed.

        Ordered by owner: concurrent actions lock feeds in one order.
        """
        done: list[Any] = []
        for owner, owned in groupby(rows.order_by("user_id", "pk"), attrgetter("user")):
            chosen = {row.pk: row for row in owned}
            done += [chosen[row.pk] for row in service(owner, chosen)]
        return done


def _refused(request: HttpRequest, models: Iterable[type[OwnedModel]]) -> set[str]:
    """Those of which this member of the staff may delete no rows."""
    return {str(model._meta.verbose_name) for model in models if not references.may(request, "delete", model)}
