"""ServiceAdmin, the base of every ModelAdmin: writes go through services, and their errors become messages;
ReadOnlyAdmin, for rows without any."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.utils import model_ngettext
from django.contrib.admin.views.main import ERROR_FLAG
from django.db import DataError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from config.admin.lists import BoundedPaginator
from config.database.transactions import retried_transaction
from config.errors import DomainError
from config.values import MAX_SEARCH

SHOWN = 100  # objects that the confirmation of a deletion names
_REFUSAL = "tickbase.admin_refusal"


class ServiceForm(forms.ModelForm):
    """A form that can show why a service refused what it was given."""

    refusal: DomainError | None = None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.refusal is not None:
            field = (self.refusal.pointer or "").removeprefix("/")
            self.add_error(field if field in self.fields else None, self.refusal.detail)
        return cleaned


class ServiceAdmin(ModelAdmin):
    """Writes through services; what they refuse becomes a form error or a message, never a 500."""

    icon = "database"  # in the sidebar, of Material Symbols
    paginator: Any = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        view = super().changelist_view
        try:
            return _rendered((retried_transaction(view) if request.method == "POST" else view)(request, extra_context))
        except (ValueError, DataError):
            # A look-up in the query string that Python or the database rejects.
            return redirect(f"{request.path}?{ERROR_FLAG}=1")
        except DomainError as refusal:
            self.message_user(request, f"Nothing was saved: {refusal.title}. Look again.", messages.ERROR)
            return redirect(request.get_full_path())

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = request.META.get(_REFUSAL)
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            change = retried_transaction(super().changeform_view)
            return _rendered(change(request, object_id, form_url, extra_context))
        except (ValueError, DataError):
            self.message_user(request, "This form cannot be read; fill it in anew.", messages.ERROR)
            return redirect(request.path)
        except DomainError as refusal:
            # All is rolled back. The second pass stops at the form, which shows the refusal and what was
            # typed; or finds that the object is gone, and says so.
            request.META[_REFUSAL] = refusal
            return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        """Where nothing can be changed, as the permission is for the actions of the list, no button says Save."""
        if not context["adminform"].form.fields and not context["inline_admin_formsets"]:
            context = {**context, "show_save": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        try:
            return retried_transaction(super().delete_view)(request, object_id, extra_context)
        except DomainError as refusal:
            self.message_user(request, f"{refusal.title}.", messages.ERROR)
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    @retried_transaction
    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any) -> Any:
        """Run an action; what it does and what it logs stand or fall together."""
        return super().response_action(request, queryset, *args)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        return {name: (self._bounded(name, action[0]), *action[1:]) for name, action in actions.items()}

    def _bounded(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """The action with a maximum of rows: other users wait for the locks of its transaction."""

        def bounded(admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
            limit = settings.ADMIN_ACTION_ROWS
            if queryset.order_by().values("pk")[: limit + 1].count() > limit:
                message = f"Nothing was done: an action takes at most {limit:,} rows at once. Narrow the list down."
                self.message_user(request, message, messages.ERROR)
                return None
            return self.run_action(name, run, request, queryset)

        return bounded

    def run_action(self, name: str, run: Callable[..., Any], request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        return run(self, request, queryset)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> Any:
        """Search with a maximum length; also for autocompletes."""
        if len(search_term) > MAX_SEARCH:
            self.message_user(request, f"Search for at most {MAX_SEARCH} characters.", messages.ERROR)
            return queryset.none(), False
        term = search_term.replace("\0", "").strip()
        return self.search(request, queryset, term) if term else (queryset, False)

    def search(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> Any:
        """The search itself, for a term that is not empty, which subclasses override."""
        return super().get_search_results(request, queryset, term)

    def deletion_links(self, links: list[str]) -> list[str]:
        """The first links, and the number of the others."""
        more = len(links) - SHOWN
        return links if more <= 0 else [*links[:SHOWN], f"and {more:,} more"]

    def counted(self, rows: list[Any]) -> str:
        return f"{len(rows)} {model_ngettext(self.opts, len(rows))}"

    def change_link(self, obj: Model, text: str | None = None) -> str:
        address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk])
        return format_html('{}: <a href="{}">{}</a>', str(self.opts.verbose_name).capitalize(), address, text or obj)


class ReadOnlyAdmin(ServiceAdmin):
    """Of rows that nobody writes by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def _rendered(response: Any) -> Any:
    """Pages query while they are rendered: do it here, where their errors can be answered."""
    return response.render() if isinstance(response, TemplateResponse) else response
