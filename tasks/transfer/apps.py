"""Registers the app, its section of the account's export, and what is pruned of it."""

from django.apps import AppConfig


class TransferConfig(AppConfig):
    name = "tasks.transfer"

    def ready(self) -> None:
        from tasks.transfer.models import Import
        from users import exports
        from users.services import pruning

        shown = ("id", "created_at", "format", "status", "total", "done", "operation", "report")
        exports.register("imports")(lambda user: exports.rows(Import.objects.for_user(user), *shown))
        pruning.kept_as_the_log["imports"] = Import.objects.made_before
