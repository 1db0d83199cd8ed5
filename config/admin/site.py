"""The admin's site: unfold's, less what needs more than it has to."""

from typing import Any

from django.http import Http404, HttpRequest
from unfold.sites import UnfoldAdminSite

from config.admin.base import ServiceAdmin


class AdminSite(UnfoldAdminSite):
    index_title = "Dashboard"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Only what writes through services. Other apps bring an admin of their own, which leaves no trace of what it
        changes, and of which django_otp's shows secrets."""
        if admin_class is not None and issubclass(admin_class, ServiceAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Unfold's search for pages, which ours do not offer: it fails on input that it does not expect."""
        raise Http404
