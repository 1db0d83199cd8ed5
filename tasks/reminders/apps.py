"""Registers the app, its work and mails, its section of the export, and what follows an account's settings."""

from dataclasses import replace

from django.apps import AppConfig


class RemindersConfig(AppConfig):
    name = "tasks.reminders"

    def ready(self) -> None:
        from config.operations import work
        from tasks.reminders import mails, services
        from tasks.reminders.models import Digest, Reminder
        from users import exports
        from users.mail import services as mail
        from users.services import follow_account

        # Digests first, which are few. Many reminders of one user at once, as they are told in one transaction.
        reminders = work.Kind("reminders", Reminder, services.fire, owner=None, batch=work.MOST, feeds=("bulk mails",))
        work.register(
            replace(reminders, name="digests", model=Digest, run=services.fire_digests, batch=10, lane="reminders")
        )
        work.register(reminders)
        mail.register(mails.REMINDER, mails.compose, is_bulk=True, look_up=mails.look_up)
        mail.register(mails.LIMIT, mails.compose_limit, is_bulk=True)
        mail.register(mails.DIGEST, mails.compose_digest, is_bulk=True)
        follow_account(services.recount, "timezone", "reminder_time")
        follow_account(services.plan_digest, "timezone", "digest_time")
        shown = ("task_id", "uid", "remind_at", "snoozed_until", "sent_at", "missed_at")
        exports.register("reminders")(lambda user: exports.rows(Reminder.objects.for_user(user), *shown))
