"""HistoryAdmin: the page with the history of a row, from the log and the audit, and undo by staff."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value, model_ngettext, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Field, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from unfold.widgets import UnfoldAdminTextInputWidget

from config.admin.base import SHOWN
from config.database.transactions import retried_transaction
from config.errors import DomainError, Forbidden
from users.admin.audited import AuditedAdmin, note_reading, reads_text
from users.admin.rows import LineField
from users.audit import Action
from users.models import Change, ChangeQuerySet, Feed, Kind, PersonalToken, Session, User
from users.resources import history, log, undo
from users.resources.models import OwnedModel
from users.resources.resource import Resource, registered

PER_PAGE = 25
MAX_SHOWN = 300  # characters of a value
MAX_REASON = 200
TRASH = "deleted_at"
START = "from"  # the version of the first entry on the page
SHOWN_CONFLICTS = 10

_ACTORS = {
    log.COMMAND: "a command",
    log.WORKER: "Tickbase itself",
    "external": "the owner, with a token of their issuer",
}


class Member(NamedTuple):
    """A member that has changed; without values for staff who may not read them."""

    label: str
    before: str = ""
    after: str = ""


class ShownEntry(NamedTuple):
    """An entry of the log, as the page of its row shows it."""

    at: dt.datetime
    actor: str
    operation: int
    did: str
    members: list[Member]
    undo: str  # the address, if it can be undone


class ShownRow(NamedTuple):
    """What undoing an operation will do to a row, as the confirmation shows it."""

    name: str
    address: str
    did: str
    members: list[Member]


class UndoForm(forms.Form):
    reason = LineField(
        max_length=MAX_REASON,
        widget=UnfoldAdminTextInputWidget(),
        help_text="It is kept in the audit. Write nothing private.",
    )


class HistoryAdmin(AuditedAdmin):
    """The admin of rows that have entries in the log. Subclasses name their `resource`."""

    resource: ClassVar[Resource]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.undo_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_undo"
        return [path("<path:object_id>/history/<int:operation>/undo/", view, name=name), *super().get_urls()]

    @admin.display(description="history")
    def history_link(self, row: OwnedModel) -> str:
        return format_html('<a href="{}" class="tickbase-link">History</a>', _address(row, "history", row.pk))

    # --- History ------------------------------------------------------------------------------------

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        row = self._stored(request, object_id)
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        sent = request.GET.get(START, "")
        start = int(sent) if sent.isdecimal() else row.version
        entries = list(history.linked(row.user, type(row), row.pk, start, limit=PER_PAGE + 1))
        context = {
            "entries": self._shown(request, row, entries[:PER_PAGE]),
            "older": f"?{START}={entries[PER_PAGE].version}" if len(entries) > PER_PAGE else "",
            "is_newest": start == row.version,
            **self.events(request, object_id),
        }
        note_reading(request, self.resource, [row], page="history")
        return self._page(request, row, f"History: {row}", "history", {**context, **(extra_context or {})})

    def _shown(self, request: HttpRequest, row: OwnedModel, entries: list[Change]) -> list[ShownEntry]:
        names = _names_of(request, {entry.actor for entry in entries})
        undoable = self._undoable(request, row, entries)
        return [
            ShownEntry(
                entry.at,
                names[entry.actor],
                entry.operation,
                _did(entry),
                _members(request, self.resource, entry),
                _address(row, "undo", row.pk, entry.operation) if entry.operation in undoable else "",
            )
            for entry in entries
        ]

    def _undoable(self, request: HttpRequest, row: OwnedModel, entries: list[Change]) -> set[int]:
        """Operations of these entries that staff may undo; there may be another reason not to, which undoing tells."""
        if not entries or row.erased_at or not self.has_change_permission(request, row):
            return set()
        floor = _floor_of(row)
        operations = {entry.operation for entry in entries if entry.operation > floor}
        return operations - _undone(row, entries[-1].version)

    # --- Undo ---------------------------------------------------------------------------------------

    def undo_view(self, request: HttpRequest, object_id: str, operation: int) -> Any:
        """Asks for a reason, then undoes the operation."""
        row = self._stored(request, object_id)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        form = UndoForm(request.POST if request.method == "POST" else None)
        try:
            if not form.is_valid():
                return self._confirmation(request, row, operation, form)
            done = self._undo(request, row, operation, form.cleaned_data["reason"])
        except DomainError as refusal:
            self.message_user(request, f"Nothing was undone. {_explained(refusal)}", messages.ERROR)
        else:
            self.message_user(request, f"Undone: {_counted(done)}.", messages.SUCCESS)
        return redirect(_address(row, "history", row.pk))

    def _operation(
        self, request: HttpRequest, row: OwnedModel, operation: int
    ) -> tuple[ChangeQuerySet, list[Resource]]:
        """The entries of an operation that has changed the row, and whose rows they are.

        Raises Forbidden if staff may not change all of them, and NoSuchOperation, TooOldToUndo or NothingToUndo.
        """
        if row.erased_at:
            raise undo.NothingToUndo("What was erased cannot be brought back.")
        entries = log.of_operation(row.user, operation).order_by("-version")
        if not entries.filter(type=row.type_name(), object_id=row.pk).exists():
            if operation <= _floor_of(row):
                raise undo.TooOldToUndo("The log does not reach back so far.")
            raise undo.NoSuchOperation("Its owner has no operation with this number that changed it.")
        types = set(entries.order_by().values_list("type", flat=True).distinct())
        resources = [resource for resource in registered() if resource.name in types]
        if refused := [each.plural for each in resources if not _may_change(request, each)]:
            raise Forbidden(f"It also changed {' and '.join(refused)}, which you may not change.")
        return entries, resources

    @retried_transaction
    def _undo(self, request: HttpRequest, row: OwnedModel, operation: int, reason: str) -> list[OwnedModel]:
        """The rows that it has changed. The event stands or falls with it."""
        self._operation(request, row, operation)
        done = undo.undo(row.user, operation)
        changed: dict[str, list[int]] = {}
        for each in done:
            changed.setdefault(each.type_name(), []).append(each.pk)
        self.note(Action.STAFF_UNDID, row, operation=operation, reason=reason, changed=changed)
        return done

    def _confirmation(self, request: HttpRequest, row: OwnedModel, operation: int, form: UndoForm) -> HttpResponse:
        entries, resources = self._operation(request, row, operation)
        rows: list[ShownRow] = []
        shown = list(entries[:SHOWN])
        for resource in resources:
            own = [entry for entry in shown if entry.type == resource.name]
            rows_of_owner = resource.model.objects.for_user(row.user).select_related("user")
            stored = rows_of_owner.in_bulk({entry.object_id for entry in own})
            rows += [_shown_row(request, resource, entry, stored.get(entry.object_id)) for entry in own]
            note_reading(request, resource, stored.values(), page="undo")
        context = {
            "rows": rows,
            "more": entries.count() - len(rows),
            "operation": operation,
            "form": form,
            "back": _address(row, "history", row.pk),
        }
        return self._page(request, row, f"Undo operation {operation}", "undo", context)

    # --- Pages --------------------------------------------------------------------------------------

    def _stored(self, request: HttpRequest, object_id: str) -> OwnedModel | None:
        """A row with this id, also a tombstone. Raises PermissionDenied."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        rows: QuerySet[OwnedModel] = self.resource.model.objects.select_related("user")
        try:
            return rows.filter(pk=self.opts.pk.to_python(unquote(object_id))).first()
        except ValidationError:
            return None

    def _page(
        self, request: HttpRequest, row: OwnedModel, title: str, name: str, context: dict[str, Any]
    ) -> HttpResponse:
        everywhere = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "object": row}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, f"users/admin/{name}.html", {**everywhere, **context})


def _undone(row: OwnedModel, since: int) -> set[int]:
    """The operations that others, of this version or later, have taken back; not those that were redone since."""
    found: set[int] = set()
    entries = history.linked(row.user, type(row), row.pk, row.version, since=since)
    for operation, undoes in entries.values_list("operation", "undoes"):
        if undoes is not None and operation not in found:
            found.add(undoes)
    return found


def _address(row: OwnedModel, page: str, *args: int) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=args)


def _floor_of(row: OwnedModel) -> int:
    return Feed.objects.filter(pk=row.user_id).values_list("floor", flat=True).first() or 0


def _may_change(request: HttpRequest, resource: Resource) -> bool:
    user, model = request.user, resource.model._meta
    return isinstance(user, User) and user.has_perm(f"{model.app_label}.change_{model.model_name}")


def _counted(rows: Iterable[OwnedModel]) -> str:
    """How many of which kind: "2 users and 1 group"."""
    counts = Counter(type(row) for row in rows)
    return " and ".join(f"{count} {model_ngettext(model._meta, count)}" for model, count in counts.items())


def _names_of(request: HttpRequest, actors: Iterable[str]) -> dict[str, str]:
    """How the page names the actors of the log. Devices and tokens are for those who may see them."""
    ids: dict[str, set[str]] = {"staff": set(), "session": set(), "token": set()}
    for kind, _, number in (actor.partition(":") for actor in actors):
        ids.get(kind, set()).add(number)
    staff = User.objects.filter(pk__in=ids["staff"]).values_list("pk", "email")
    names = _ACTORS | {f"staff:{pk}": f"{email} (staff)" for pk, email in staff}
    sees_sessions = isinstance(request.user, User) and request.user.has_perm("users.view_session")
    sees_tokens = isinstance(request.user, User) and request.user.has_perm("users.view_personaltoken")
    ended = "the owner, in a session that has ended" if sees_sessions else "the owner, in a session"
    for session_id, device in Session.objects.filter(pk__in=ids["session"] if sees_sessions else ()).values_list(
        "pk", "user_agent"
    ):
        names[f"session:{session_id}"] = f"the owner, with {device or 'an unknown client'}"
    tokens = PersonalToken.objects.filter(pk__in=ids["token"] if sees_tokens else ()).values_list("pk", "prefix")
    names |= {f"token:{pk}": f"the owner, with the token {prefix}…" for pk, prefix in tokens}
    gone = {"staff": "staff whose account is gone", "session": ended, "token": "the owner, with a token"}
    return {actor: names.get(actor) or gone.get(actor.partition(":")[0], actor) for actor in actors}


def _did(entry: Change) -> str:
    if entry.undoes is not None:
        move = _move(*entry.diff.get(TRASH, (None, None)))
        return f"Undid operation {entry.undoes}{move and f', {move}'}"
    return Kind(entry.kind).label if entry.kind in Kind else entry.kind


def _move(before: Any, after: Any) -> str:
    """What a change of `deleted_at` means to people."""
    if before == after:
        return ""
    return "back from the trash" if after is None else "to the trash"


def _members(request: HttpRequest, resource: Resource, entry: Change) -> list[Member]:
    """What an entry has changed; of text, only the names for staff who may not read it.

    A column that is no more may have held text.
    """
    fields = {field.attname: field for field in resource.model._meta.concrete_fields}
    shown = fields.keys() | entry.diff.keys() if reads_text(request, resource) else fields.keys() - {*resource.text}
    members = []
    for name in sorted(entry.diff.keys() - {TRASH}):
        field = fields.get(name)
        before, after = (_text_of(field, value) for value in entry.diff[name]) if name in shown else ("", "")
        is_new = entry.kind == Kind.CREATED  # of whose members the log tells no values of before
        members.append(Member(str(field.verbose_name if field else name), "" if is_new else before, after))
    return members


def _text_of(field: "Field[Any, Any] | None", value: Any) -> str:
    """Of a value that may be from before the column was changed, or dropped."""
    if field and field.choices:
        value = dict(field.flatchoices).get(value, value)
    elif field:
        with suppress(TypeError, ValueError, ValidationError):
            value = field.to_python(value)
    return Truncator(display_for_value(value, "empty")).chars(MAX_SHOWN)


def _shown_row(request: HttpRequest, resource: Resource, entry: Change, row: OwnedModel | None) -> ShownRow:
    """What undoing an entry puts back. A new row goes to the trash."""
    name = f"{resource.model._meta.verbose_name} {entry.object_id}".capitalize()
    if row is None:
        return ShownRow(name, "", "is not there any more", [])
    if resource.text and reads_text(request, resource):
        name = f"{name}: {getattr(row, resource.text[0])}"
    address = _address(row, "history", row.pk)
    if entry.kind == Kind.CREATED:
        return ShownRow(name, address, "to the trash", [])
    before, after = entry.diff.get(TRASH, (None, None))
    members = [Member(label, after, before) for label, before, after in _members(request, resource, entry)]
    return ShownRow(name, address, _move(after, before), members)


def _explained(refusal: DomainError) -> str:
    """In a sentence, with what stands in its way."""
    if not isinstance(refusal, undo.ChangedSince):
        return refusal.detail
    found = [f"{each['type']} {each['id']} ({', '.join(each['members'])})" for each in refusal.members["changes"]]
    more = [f"{len(found) - SHOWN_CONFLICTS:,} more"] if len(found) > SHOWN_CONFLICTS else []
    return f"{refusal.detail} It is about {', '.join([*found[:SHOWN_CONFLICTS], *more])}."
