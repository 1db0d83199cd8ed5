"""The admin of personal tokens: who has which, and when it was used; staff may revoke them."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from users import services
from users.admin.audited import AuditedAdmin
from users.admin.lists import named
from users.admin.sessions import outranks
from users.audit import Action
from users.models import PersonalToken, User


@admin.register(PersonalToken)
class PersonalTokenAdmin(AuditedAdmin):
    """Deleting a token is revoking it. Its name is its owner's text, and not shown."""

    icon = "key"
    recorded_by_services = frozenset({Action.STAFF_DELETED})
    list_display = ("token", "user", "scope", "created_at", "expires_at", "last_used_at")
    list_select_related = ("user",)
    list_filter = ("expires_at", "last_used_at", ("user", AutocompleteSelectFilter))
    list_filter_submit = True
    search_fields = ("user__email", "user__name", "prefix", "=id")
    search_help_text = "E-mail, name or id of the account, first characters or id of the token."
    ordering = ("-created_at", "-pk")
    fields = readonly_fields = (
        "token", "user", "scope", "created_at", "expires_at", "warned_at", "last_used_at", "last_used_network",
    )  # fmt: skip

    def token(self, token: PersonalToken) -> SafeString:
        return format_html('<span class="whitespace-nowrap">{}</span>', token)

    def search(self, request: HttpRequest, queryset: QuerySet[PersonalToken], term: str) -> Any:
        found, may_repeat = super().search(request, queryset, term)
        return found | queryset.filter(named(term, "user__")), may_repeat

    @admin.display(description="scopes")
    def scope(self, token: PersonalToken) -> str:
        return ", ".join(token.scopes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: PersonalToken | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: PersonalToken | None = None) -> bool:
        staff = request.user
        may = obj is None or (isinstance(staff, User) and (staff == obj.user or outranks(staff, obj.user)))
        return super().has_delete_permission(request, obj) and may

    def delete_model(self, request: HttpRequest, obj: PersonalToken) -> None:
        services.revoke_token(obj.user, obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[PersonalToken]) -> None:
        """By user, so that two such transactions lock accounts in one order. What is revoked already stays so."""
        for token in queryset.order_by("user_id", "pk"):
            with suppress(services.TokenNotFound):
                services.revoke_token(token.user, token.pk)

    def get_deleted_objects(self, objs: Iterable[PersonalToken], request: HttpRequest) -> Any:
        tokens = list(objs)
        refused = {self.opts.verbose_name for each in tokens if not self.has_delete_permission(request, each)}
        links = self.deletion_links([self.change_link(token) for token in tokens])
        return links, {self.opts.verbose_name_plural: len(tokens)}, refused, []
