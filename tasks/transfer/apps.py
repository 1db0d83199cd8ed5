"""Registers the app and its section of the account's export."""

from django.apps import AppConfig


class TransferConfig(AppConfig):
    name = "tasks.transfer"

    def ready(self) -> None:
        from tasks.transfer.models import Import
        from users import exports

        shown = ("id", "created_at", "format", "status", "total", "done", "operation", "report")
        exports.register("imports")(lambda user: exports.rows(Import.objects.for_user(user), *shown))
