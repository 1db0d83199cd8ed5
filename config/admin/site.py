"""The base of the AdminSite: unfold's, with ServiceAdmins only and without its search for pages."""

from typing import Any

from django.http import Http404, HttpRequest
from unfold.sites import UnfoldAdminSite

from config.admin.base import ServiceAdmin


class AdminSite(UnfoldAdminSite):
    index_title = "Dashboard"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Registers subclasses of ServiceAdmin only. Admins of other packages bypass services and the audit log, and
        django_otp's shows secrets."""
        if admin_class is not None and issubclass(admin_class, ServiceAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Disabled: no page of ours links to it, and unexpected input makes it fail."""
        raise Http404
