"""`manage.py prune`: delete expired rows while the service runs; for a daily timer."""

import datetime as dt
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db.models.functions import Now
from django.utils import timezone

from config.http.limits.counters import prune_windows
from config.models import RateLimit
from config.operations.console import progress, whole_number
from users.models import PersonalToken
from users.resources import pruning
from users.resources.resource import registered
from users.services import pruning as accounts
from users.services.personal_tokens import KEPT_DAYS


class Prunable(NamedTuple):
    name: str
    due: Callable[[], int]
    prune: Callable[[], Iterator[int]]  # yields the number of rows that each transaction has deleted


class Command(BaseCommand):
    help = (
        "Remove expired sessions, tokens, idempotency keys, invitations and rate-limit windows. Empty the trash of "
        "what was deleted long ago, then cut off the log of changes, then remove the tombstones that no device needs "
        "any more. "
        "Works in small transactions and can run while the service does, for example daily."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--trash-days",
            type=whole_number(1, 36_500),
            default=settings.TRASH_DAYS,
            help="keep what is in the trash for so many days, then erase its text (TRASH_DAYS, now %(default)s)",
        )
        parser.add_argument(
            "--history-days",
            "--days",
            type=whole_number(1, 36_500),
            default=settings.HISTORY_DAYS,
            help="keep the log of changes for so many days (HISTORY_DAYS, now %(default)s); "
            "a device that has not synced for longer has to fetch everything anew",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    def handle(self, *args: Any, trash_days: int, history_days: int, dry_run: bool, **options: Any) -> None:
        for each in prunables(timezone.now(), trash_days, history_days):
            count = each.due()
            if dry_run:
                self.stdout.write(f"{each.name}: {count} would be removed")
                continue
            removed = 0
            with progress(each.name, count) as advance:
                for more in each.prune():
                    removed += more
                    advance(more)
            self.stdout.write(f"{each.name}: {removed} removed")


def prunables(now: dt.datetime, trash_days: int, history_days: int) -> list[Prunable]:
    before = now - dt.timedelta(days=history_days)
    keys, invitations = accounts.expired_idempotency_keys(now), accounts.expired_invitations(now)
    tokens, changes = PersonalToken.objects.expired(KEPT_DAYS), accounts.old_email_changes(now)
    admin_sessions, windows = accounts.expired_admin_sessions(now), RateLimit.objects.filter(resets_at__lte=Now())
    return [
        Prunable("expired sessions", accounts.expired_sessions().count, accounts.prune_sessions),
        Prunable(f"tokens that expired {KEPT_DAYS} days ago", tokens.count, lambda: accounts.prune_rows(tokens)),
        Prunable("expired sessions of the admin", admin_sessions.count, lambda: accounts.prune_rows(admin_sessions)),
        Prunable("expired idempotency keys", keys.count, lambda: accounts.prune_rows(keys)),
        Prunable("old requests to change the address", changes.count, lambda: accounts.prune_rows(changes)),
        Prunable("used invitations", invitations.count, lambda: accounts.prune_rows(invitations)),
        Prunable("rate-limit windows that have ended", windows.count, prune_windows),
        *(
            Prunable(
                f"{resource.model._meta.verbose_name_plural} deleted more than {trash_days} days ago",
                pruning.trashed(resource.model, now - dt.timedelta(days=trash_days)).count,
                partial(pruning.empty_trash, resource.model, now - dt.timedelta(days=trash_days)),
            )
            for resource in registered()
        ),
        Prunable(
            f"changes older than {history_days} days",
            lambda: pruning.old_entries(before).count(),
            lambda: pruning.cut_log(before),
        ),
        *(
            Prunable(
                f"{name} older than {history_days} days",
                rows(before).count,
                partial(accounts.prune_rows, rows(before)),
            )
            for name, rows in accounts.kept_as_the_log.items()
        ),
        *(
            Prunable(
                f"tombstones of erased {resource.model._meta.verbose_name_plural}",
                pruning.below_floor(resource.model).count,
                partial(pruning.prune_tombstones, resource.model),
            )
            for resource in registered()
        ),
    ]
