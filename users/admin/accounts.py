"""The admin of accounts and of groups."""

import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import DO_NOTHING, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from users import services
from users.admin.audited import AuditedAdmin, Done
from users.admin.forms import CONFIRMED, AccountForm, PasswordForm, RegistrationForm
from users.admin.lists import ConfirmedFilter, IssuerFilter, LastSeenFilter, UserList, count_columns, named, with_email
from users.admin.sessions import SessionInline, may_end_sessions, outranks
from users.admin.support import SupportAdmin, no_mail, no_reset
from users.audit import Action
from users.models import User

COLUMNS = ("email", "name", "timezone", "is_active", "is_staff", "is_superuser")
PRIVILEGES = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class UserAdmin(SupportAdmin, DjangoUserAdmin):
    """Only superusers change privileges, and other accounts that have some."""

    icon = "person"
    list_display = ("email", "name", "is_confirmed", "is_active", "is_staff", "last_seen", "created_at")
    recorded_by_services = frozenset({Action.STAFF_ADDED, Action.STAFF_DELETED})
    list_filter = ("is_active", "is_staff", "is_superuser", ConfirmedFilter, IssuerFilter, LastSeenFilter)
    actions = ("deactivate", "send_password_reset", "export_data")
    inlines = (SessionInline,)
    search_fields = ("email", "name", "subject")
    search_help_text = "E-mail, name or id."
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-pk")
    form = AccountForm
    add_form = RegistrationForm
    add_form_template = None
    change_password_form = PasswordForm
    readonly_fields = ("set_password", "confirmed", "created_at", "last_login", "token_version")
    fieldsets = (
        (None, {"fields": ("email", "is_verified", "confirmed", "name", "timezone", "set_password")}),
        ("Permissions", {"fields": ("is_active", *PRIVILEGES)}),
        ("Record", {"fields": ("created_at", "last_login", "token_version"), "description": "Times are in UTC."}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "timezone", "password1", "password2")}),)

    @admin.display(description="last seen")
    def last_seen(self, user: Any) -> Any:
        return user.last_seen

    @admin.display(description="confirmed", boolean=True, ordering="email_verified_at")
    def is_confirmed(self, user: User) -> bool:
        return user.is_email_verified

    @admin.display(description="address confirmed")
    def confirmed(self, user: User) -> str:
        return date_format(user.email_verified_at, "DATETIME_FORMAT") if user.email_verified_at else "Not yet"

    @admin.display(description="password")
    def set_password(self, user: User) -> str:
        address = reverse("admin:auth_user_password_change", args=[user.pk])
        return format_html('<a href="{}" class="tickbase-link">Set a new password</a>', address)

    def get_list_display(self, request: HttpRequest) -> Any:
        *first, created_at = self.list_display
        return [*first, *count_columns(), created_at]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[UserList]:
        return UserList

    def get_inlines(self, request: HttpRequest, obj: User | None) -> Any:
        return () if obj is None else self.inlines

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.end_session)
        ending = path("<str:user_id>/sessions/<uuid:session_id>/end/", view, name="users_user_end_session")
        return [ending, *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is not None and obj.is_external:
            return ((None, {"fields": ("email", "confirmed", "name", "timezone", "issuer", "subject")}), *fieldsets[1:])
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        # No way to the password, and nothing to answer.
        return ((None, {"fields": ("email", "confirmed", "name", "timezone")}), *fieldsets[1:])

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        is_superuser = isinstance(request.user, User) and request.user.is_superuser
        fields = self.readonly_fields if is_superuser else (*self.readonly_fields, *PRIVILEGES)
        # An issuer's e-mail may be invalid, or that of a local account.
        return (*fields, "email", "issuer", "subject") if obj is not None and obj.is_external else fields

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj == request.user or _outranks(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and obj != request.user and _outranks(request, obj)

    def search(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> Any:
        found, may_repeat = super().search(request, queryset, term)
        return found | queryset.filter(named(term)) | queryset.filter(pk__in=with_email(term)), may_repeat

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        values: dict[str, Any] = form.cleaned_data
        if change:
            # Groups and permissions are saved by the form, after this.
            if changes := {name: values[name] for name in form.changed_data if name in COLUMNS}:
                services.update_account(obj, is_verified=values.get("is_verified") == CONFIRMED, **changes)
        else:
            names = ("email", "name", "timezone")
            obj.pk = services.register(password=values["password1"], **{name: values[name] for name in names}).pk

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        services.delete_account(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset.order_by("pk"):
            services.delete_account(user)

    def get_deleted_objects(self, objs: Iterable[User], request: HttpRequest) -> Any:
        """The accounts by name, and the numbers of their rows, which are private and may be many."""
        users = list(objs)
        refused = {self.opts.verbose_name for user in users if not self.has_delete_permission(request, user)}
        counts = Counter({self.opts.verbose_name_plural: len(users)})
        relations: Iterable[Any] = get_candidate_relations_to_delete(self.opts)
        for relation in relations:
            model = relation.related_model
            if relation.on_delete is DO_NOTHING:
                continue  # the audit stays
            rows = model._base_manager.filter(**{f"{relation.field.name}__in": users})
            counts[model._meta.verbose_name_plural] += rows.count()
        return self.deletion_links([self.change_link(user) for user in users]), +counts, refused, []

    @admin.action(description="Deactivate, and end all sessions", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> Done:
        chosen = list(queryset.order_by("pk"))
        active = [user for user in chosen if user.is_active and self._may_act_on(request, user)]
        for user in active:
            services.update_account(user, is_active=False)
        self._tell(request, "Deactivated", len(active), len(chosen))
        return Done(active)

    @admin.action(description="Send a password reset", permissions=["support"])
    def send_password_reset(self, request: HttpRequest, queryset: QuerySet[User]) -> Done:
        """External accounts have no password here, and their address may be that of a local one."""
        if why_not := no_mail():
            self.message_user(request, why_not, messages.ERROR)
            return Done()
        chosen = list(queryset.order_by("pk"))
        users = [user for user in chosen if not no_reset(user) and self._may_act_on(request, user)]
        for user in users:
            services.request_password_reset(user.email)
        self._tell(request, "Mailed to", len(users), len(chosen))
        return Done(users)

    @admin.action(description="Export data", permissions=["export"])
    def export_data(self, request: HttpRequest, queryset: QuerySet[User]) -> Done:
        users = list(queryset[:2])
        if len(users) != 1:
            self.message_user(request, "An export holds one account: choose one.", messages.ERROR)
            return Done()
        return Done((), redirect("admin:users_user_export", users[0].pk))

    def _may_act_on(self, request: HttpRequest, user: User) -> bool:
        return user != request.user and _outranks(request, user)

    def _tell(self, request: HttpRequest, did: str, count: int, chosen: int) -> None:
        passed_over = chosen - count
        self.message_user(
            request,
            f"{did} {count} {'account' if count == 1 else 'accounts'}"
            + (f"; passed over {passed_over} to which it does not apply." if passed_over else "."),
            messages.WARNING if passed_over else messages.SUCCESS,
        )

    @method_decorator(require_POST)
    def end_session(self, request: HttpRequest, user_id: str, session_id: uuid.UUID) -> HttpResponse:
        user = self.get_object(request, user_id)
        if user is None or not self.has_view_permission(request, user) or not may_end_sessions(request, user):
            raise PermissionDenied
        try:
            services.end_session(user, session_id)
        except services.SessionNotFound:
            self.message_user(request, "The session has ended already.", messages.WARNING)
        else:
            self.message_user(request, "The session has ended, and with it its tokens.", messages.SUCCESS)
        return redirect("admin:users_user_change", user.pk)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, DjangoGroupAdmin):
    icon = "group"


def _outranks(request: HttpRequest, account: User | None) -> bool:
    return isinstance(request.user, User) and outranks(request.user, account)
