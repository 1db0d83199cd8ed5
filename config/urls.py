"""Every address that the process answers."""

from importlib import import_module

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from config.http.landing import landing
from config.http.openapi.views import DocsView, SchemaView
from config.observability import health
from config.observability.scrape import MetricsView

urlpatterns = [
    *import_module("users.api.urls").urlpatterns,  # flat, and first, as they are requested most
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
    path("", landing, name="landing"),
    path("healthz", health.LivenessView.as_view(), name="healthz"),
    path("readyz", health.ReadinessView.as_view(), name="readyz"),
]
if settings.METRICS:
    urlpatterns.append(path("metrics", MetricsView.as_view(), name="metrics"))
if settings.ADMIN_PATH:
    to_admin = RedirectView.as_view(pattern_name="admin:index", permanent=True, query_string=True)
    urlpatterns += [
        path(f"{settings.ADMIN_PATH}second-factor/", include("users.admin.urls")),
        path(settings.ADMIN_PATH, admin.site.urls),
        # APPEND_SLASH acts below this; the middleware for it runs only in the admin.
        path(settings.ADMIN_PATH.removesuffix("/"), to_admin),
    ]

handler400 = "config.http.problems.handler400"
handler403 = "config.http.problems.handler403"
handler404 = "config.http.problems.handler404"
handler500 = "config.http.problems.handler500"
