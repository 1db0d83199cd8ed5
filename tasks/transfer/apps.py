"""Registers the app, its section of the account's export, and what is pruned of it."""

from django.apps import AppConfig


class TransferConfig(AppConfig):
    name = "tasks.transfer"

    def ready(self) -> None:
        from config.operations import work
        from tasks.transfer import services
        from tasks.transfer.models import Import
        from users import exports
        from users.services import pruning

        shown = ("id", "created_at", "format", "status", "total", "done", "operations", "error", "report")
        exports.register("imports")(lambda user: exports.rows(Import.objects.for_user(user), *shown))
        imports = work.Kind(
            "imports",
            Import,
            services.run_imports,
            due=lambda now: Import.objects.due(now).without_files(),
            failed=Import.objects.failed_since,
        )
        work.register(imports)
        pruning.kept_as_the_log["imports"] = Import.objects.made_before
