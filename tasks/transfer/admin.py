"""The admin of imports, read-only: what came of a file in numbers, without its texts."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from config.admin.base import ReadOnlyAdmin
from tasks.transfer.models import Import


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    icon = "upload_file"
    list_display = ("id", "user", "format", "status", "total", "done", "operation", "created_at")
    list_display_links = ("id",)
    list_select_related = ("user",)
    list_filter = ("status", "format", "created_at")
    search_fields = ("user__email", "user__name", "=id")
    ordering = ("-pk",)
    fields = readonly_fields = (
        "user", "created_at", "format", "status", "total", "done", "operation", "created", "updated", "unchanged",
        "skipped", "degraded",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return Import.objects.without_files()

    def created(self, row: Import) -> Any:
        return row.report.get("created")

    def updated(self, row: Import) -> Any:
        return row.report.get("updated")

    def unchanged(self, row: Import) -> Any:
        return row.report.get("unchanged")

    def skipped(self, row: Import) -> Any:
        return row.report.get("counts", {}).get("skipped")

    def degraded(self, row: Import) -> Any:
        return row.report.get("counts", {}).get("degraded")
