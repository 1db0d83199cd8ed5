"""The admin's site: unfold's, less what needs more than it has to."""

from typing import Any

from django.http import Http404, HttpRequest
from unfold.sites import UnfoldAdminSite


class AdminSite(UnfoldAdminSite):
    index_title = "Dashboard"

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Unfold's search for pages, which ours do not offer: it fails on input that it does not expect."""
        raise Http404
