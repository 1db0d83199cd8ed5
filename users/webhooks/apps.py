"""Registers the app: its kinds of deferred work, its mail, its sections of the export, and what is pruned of it."""

from dataclasses import replace

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "users.webhooks"

    def ready(self) -> None:
        from config.operations import work
        from users import exports
        from users.mail import services as mail
        from users.services import pruning
        from users.webhooks import delivery, writes
        from users.webhooks.models import Delivery, Endpoint, Event

        # Those that are slow, or were not tried yet, keep none waiting that are quick.
        quick = work.Kind(
            "webhooks", Endpoint, delivery.deliver, batch=delivery.BATCH, threads=2, due=delivery.due_quick
        )
        slow = work.Kind(
            "slow webhooks",
            Endpoint,
            delivery.deliver,
            batch=delivery.SLOW_BATCH,
            due=delivery.due_slow,
            failed=Endpoint.objects.disabled_since,  # a failure makes one slow
        )
        for kind in (quick, slow):
            work.register(replace(kind, due_since="due_since"))
        mail.register(writes.DISABLED_MAIL, writes.disabled_mail)
        pruning.kept_as_the_log["webhook events"] = Event.objects.made_before
        shown = (
            "id", "url", "events", "project_ids", "is_active", "disabled_at", "failures", "last_error", "created_at",
            "updated_at",
        )  # fmt: skip
        exports.register("webhooks")(lambda user: exports.rows(Endpoint.objects.for_user(user), *shown))
        of_event = ("name", "data", "created_at")
        exports.register("webhook_events")(lambda user: exports.rows(Event.objects.for_user(user), *of_event))
        of_delivery = ("endpoint", "at", "event", "webhook_id", "status", "reason", "milliseconds", "attempt")
        exports.register("webhook_deliveries")(lambda user: exports.rows(Delivery.objects.for_user(user), *of_delivery))
