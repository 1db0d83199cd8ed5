"""The admin of the outbox: which mail was sent, waits, or was refused by the mail server, and why."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from config.admin.lists import ChoiceFilter
from users.admin.audited import AuditedAdmin, Done
from users.mail import services
from users.mail.models import Mail


class StateFilter(ChoiceFilter):
    title = parameter_name = "state"
    narrowing = {
        "waits": ("Waits", lambda mails: mails.filter(sent_at=None, failed_at=None)),
        "sent": ("Sent", lambda mails: mails.exclude(sent_at=None)),
        "failed": ("Given up", lambda mails: mails.exclude(failed_at=None)),
    }


@admin.register(Mail)
class MailAdmin(AuditedAdmin):
    """Its text is not shown: it is made when the mail is sent, and may hold a token."""

    icon = "mail"
    list_display = ("kind", "user", "address", "created_at", "state", "attempts", "last_error")
    list_select_related = ("user",)
    list_filter = (StateFilter, "kind")
    search_fields = ("user__email", "address")
    ordering = ("-created_at", "-pk")
    actions = ("send_again",)
    fields = readonly_fields = (
        "kind", "user", "address", "created_at", "state", "attempts", "due_at", "expires_at", "sent_at", "failed_at",
        "last_error",
    )  # fmt: skip

    def state(self, mail: Mail) -> str:
        if mail.sent_at:
            return "sent"
        return "given up" if mail.failed_at else "waits"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Mail | None = None) -> bool:
        return False

    @admin.action(description="Send again what was given up", permissions=["change"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Mail]) -> Done:
        if not services.can_send():
            self.message_user(request, f"Nothing can be sent. {services.NO_SERVER}", messages.ERROR)
            return Done()
        sent = [mail for mail in queryset.order_by("pk") if services.send_again(mail)]
        self.message_user(request, f"Sent again: {self.counted(sent)}.", messages.SUCCESS)
        return Done(sent)
