"""Registers the app, its system checks and its admin; and Django's admin with our AdminSite."""

from dataclasses import replace
from functools import partial
from io import StringIO

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.core.management import call_command


class UsersConfig(AppConfig):
    name = "users"

    def ready(self) -> None:
        from config.observability.scrape import count_writes
        from config.operations import work
        from users import checks, exports  # noqa: F401  # importing registers the checks
        from users.admin import accounts, audit, mails, sessions, tokens, webhooks  # noqa: F401
        from users.mail import services as mail
        from users.mail.models import Mail
        from users.models import Feed
        from users.services import personal_tokens, pruning

        # Each change of a user's row increments their counter, the one row of the feed.
        count_writes(Feed, "tickbase_feed_changes", "Numbers that users' feeds gave to changes.")
        failed_mails = Mail.objects.failed_since
        urgent = work.Kind("mails", Mail, mail.deliver, batch=mail.BATCH, threads=2, due=mail.due, failed=failed_mails)
        work.register(urgent)
        bulk = replace(urgent, name="bulk mails", lane="mails", due=mail.due_in_bulk, failed=None)
        work.register(replace(bulk, batch=mail.BULK_BATCH))
        work.register_chore("prune", partial(call_command, "prune", stdout=StringIO()), work.every_day(3))
        work.register_chore("token expiry", personal_tokens.warn_of_expiry, work.every_day(9))
        pruning.kept_as_the_log["mails"] = Mail.objects.made_before
        exports.register("mails")(
            lambda user: exports.rows(
                Mail.objects.for_user(user), "kind", "address", "created_at", "sent_at", "failed_at"
            )
        )


class AdminConfig(admin_apps.AdminConfig):
    default = False  # of this module; INSTALLED_APPS names it
    default_site = "users.admin.site.AdminSite"
