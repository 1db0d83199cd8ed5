"""What support does on the page of an account, and what it sees there; invitations."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from config.errors import DomainError
from users import audit, exports, services
from users.admin.audited import AuditedAdmin, Entry
from users.admin.lists import figures_of
from users.admin.rows import LineField, PlainTextarea, TextField
from users.admin.sessions import may_end_sessions, outranks
from users.audit import Action
from users.mail import services as mail
from users.models import MAX_NOTE, AuditEvent, User
from users.resources.resource import registered
from users.text import MAX_EMAIL

EVENTS = 10  # on the page of an account
MAX_REASON = 200
MAX_INVITED = 50


class AccountAction(NamedTuple):
    """What support does for an account with a button."""

    title: str
    done: str
    run: Callable[[User], Any]
    why_not: Callable[[User], str]  # empty if it can be done


def no_mail() -> str:
    is_off = not mail.can_send()
    return "This service sends no mail: EMAIL_HOST is not set." if is_off else ""


def _is_settled(user: User) -> str:
    if user.is_external:
        return "The address is a matter of the account’s issuer."
    return "The address is confirmed." if user.is_email_verified else ""


def _is_inactive(user: User) -> str:
    return "" if user.is_active else "The account is not active."


def no_reset(user: User) -> str:
    """Why a mailed password reset would not help."""
    if user.is_external:
        return "The account signs in at its issuer, and has no password here."
    return _is_inactive(user) or ("" if user.has_usable_password() else "Its password is disabled: set one first.")


ACCOUNT_ACTIONS = {
    "mail-confirmation": AccountAction(
        "Mail a confirmation of the address",
        "A mail to confirm the address is on its way.",
        services.request_email_verification,
        lambda user: _is_settled(user) or _is_inactive(user) or no_mail(),
    ),
    "confirm": AccountAction(
        "Mark the address as confirmed", "The address is confirmed.", services.confirm_email, _is_settled
    ),
    "reset": AccountAction(
        "Mail a password reset",
        "A mail to set a new password is on its way.",
        lambda user: services.request_password_reset(user.email),
        lambda user: no_reset(user) or no_mail(),
    ),
    "end-sessions": AccountAction(
        "End all sessions",
        "All sessions have ended.",
        lambda user: services.end_other_sessions(user, None),
        lambda user: "" if user.sessions.exists() else "There is no session.",
    ),
}


class NoteForm(forms.Form):
    text = TextField(max_length=MAX_NOTE, widget=PlainTextarea(attrs={"rows": 3, "aria-label": "New note"}))


class ExportForm(forms.Form):
    reason = LineField(
        max_length=MAX_REASON,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Who has asked for it, and how you know them. It is kept in the audit.",
    )


class InvitationForm(forms.Form):
    emails = forms.CharField(
        label="E-mail addresses",
        max_length=MAX_INVITED * (MAX_EMAIL + 2),
        widget=PlainTextarea(attrs={"rows": 8}),
        help_text=f"One or many, at most {MAX_INVITED}, on lines of their own or with commas between them.",
    )
    send = forms.BooleanField(label="Mail the invitations", required=False, widget=UnfoldBooleanWidget())

    def clean_emails(self) -> list[str]:
        emails = [*dict.fromkeys(each for each in re.split(r"[\s,;]+", self.cleaned_data["emails"]) if each)]
        if len(emails) > MAX_INVITED:
            raise ValidationError(f"These are {len(emails)}: invite at most {MAX_INVITED} at once.", code="too_many")
        return emails


class Invited(NamedTuple):
    email: str
    result: str
    link: str = ""  # to pass on


def may_support(request: HttpRequest, user: User) -> bool:
    staff = request.user
    return isinstance(staff, User) and staff.has_perm("users.support_user") and staff != user and outranks(staff, user)


class SupportAdmin(AuditedAdmin):
    """The page of an account has buttons, figures, notes and events above its form."""

    change_form_outer_before_template = "users/admin/account.html"
    actions_list = ("invite",)

    def get_urls(self) -> list[URLPattern]:
        views: dict[str, tuple[str, Any]] = {
            "support": ("<str:user_id>/support/<slug:name>/", self.support_view),
            "add_note": ("<str:user_id>/notes/", self.add_note_view),
            "delete_note": ("<str:user_id>/notes/<int:note_id>/delete/", self.delete_note_view),
            "export": ("<str:user_id>/export/", self.export_view),
        }
        wrap = self.admin_site.admin_view
        urls = [path(route, wrap(view), name=f"users_user_{name}") for name, (route, view) in views.items()]
        return [*urls, *super().get_urls()]

    def has_support_permission(self, request: HttpRequest, *args: Any) -> bool:
        return isinstance(request.user, User) and request.user.has_perm("users.support_user")

    def has_export_permission(self, request: HttpRequest) -> bool:
        """An export holds all that belongs to an account."""
        rows = [permission for resource in registered() for permission in resource.reading]
        return isinstance(request.user, User) and request.user.has_perms(
            ["users.view_user", "users.view_session", *rows]
        )

    def _account(self, request: HttpRequest, user_id: str) -> User:
        """Raises PermissionDenied also where there is none."""
        user = self.get_object(request, user_id)
        if not isinstance(user, User) or not self.has_view_permission(request, user):
            raise PermissionDenied
        return user

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (user := context.get("original")) is not None:
            context["account"] = self._panels(request, user)
        return super().render_change_form(request, context, *args, **kwargs)

    def _panels(self, request: HttpRequest, user: User) -> dict[str, Any]:
        staff: Any = request.user
        events = AuditEvent.objects.filter(audit.about(user.pk)).order_by("-pk")
        sees_audit = staff.has_perm("users.view_auditevent")
        sees_notes = staff.has_perm("users.view_accountnote")
        return {
            "user": user,
            "buttons": self._buttons(request, user) if self.has_support_permission(request) else [],
            "may_export": self.has_export_permission(request),
            "figures": figures_of(request, user),
            "sees_notes": sees_notes,
            "notes": user.staff_notes.select_related("author").order_by("-pk") if sees_notes else [],
            "note_form": NoteForm() if staff.has_perm("users.add_accountnote") else None,
            "may_delete_notes": staff.has_perm("users.delete_accountnote"),
            "events": [Entry.of(event) for event in events[:EVENTS]],
            "audit": f"{reverse('admin:users_auditevent_changelist')}?account={user.pk}" if sees_audit else "",
        }

    # --- Buttons ------------------------------------------------------------------------------------

    def _buttons(self, request: HttpRequest, user: User) -> list[tuple[str, str, str]]:
        """The title of each, its address, and why it cannot be pressed."""
        return [
            (each.title, reverse("admin:users_user_support", args=[user.pk, name]), self._why_not(request, user, name))
            for name, each in ACCOUNT_ACTIONS.items()
        ]

    def _why_not(self, request: HttpRequest, user: User, name: str) -> str:
        if name == "end-sessions" and not may_end_sessions(request, user):
            return "You may not end the sessions of this account."
        if not may_support(request, user):
            return "This is your own account." if user == request.user else "Only superusers act on staff."
        return ACCOUNT_ACTIONS[name].why_not(user)

    @method_decorator(require_POST)
    def support_view(self, request: HttpRequest, user_id: str, name: str) -> HttpResponse:
        user = self._account(request, user_id)
        if name not in ACCOUNT_ACTIONS or not may_support(request, user):
            raise PermissionDenied
        if why_not := self._why_not(request, user, name):
            self.message_user(request, f"Nothing was done. {why_not}", messages.ERROR)
        else:
            ACCOUNT_ACTIONS[name].run(user)
            self.note(Action.STAFF_RAN, user, ran=name)
            self.message_user(request, ACCOUNT_ACTIONS[name].done, messages.SUCCESS)
        return redirect("admin:users_user_change", user.pk)

    # --- Notes --------------------------------------------------------------------------------------

    @method_decorator(require_POST)
    def add_note_view(self, request: HttpRequest, user_id: str) -> HttpResponse:
        user, staff = self._account(request, user_id), request.user
        if not isinstance(staff, User) or not staff.has_perm("users.add_accountnote"):
            raise PermissionDenied
        form = NoteForm(request.POST)
        if form.is_valid():
            services.add_note(user, staff, form.cleaned_data["text"])
            self.message_user(request, "The note was added.", messages.SUCCESS)
        else:
            self.message_user(request, f"No note was added: {form.errors['text'].as_text()}", messages.ERROR)
        return redirect("admin:users_user_change", user.pk)

    @method_decorator(require_POST)
    def delete_note_view(self, request: HttpRequest, user_id: str, note_id: int) -> HttpResponse:
        user, staff = self._account(request, user_id), request.user
        if not isinstance(staff, User) or not staff.has_perm("users.delete_accountnote"):
            raise PermissionDenied
        if services.delete_note(user, note_id):
            self.message_user(request, "The note was deleted.", messages.SUCCESS)
        return redirect("admin:users_user_change", user.pk)

    # --- Export -------------------------------------------------------------------------------------

    def export_view(self, request: HttpRequest, user_id: str) -> HttpResponse | StreamingHttpResponse:
        """Asks for a reason, then answers the file."""
        user = self._account(request, user_id)
        if not self.has_export_permission(request):
            raise PermissionDenied
        form = ExportForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._page(request, "users/admin/export.html", "Export", form=form, object=user)
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="tickbase-{user.pk}.json"',
        }
        stream = exports.stream(user, reason=form.cleaned_data["reason"])
        return StreamingHttpResponse(stream, content_type="application/json", headers=headers)

    # --- Invitations --------------------------------------------------------------------------------

    @action(description="Invite", url_path="invite", permissions=["support"])  # type: ignore[untyped-decorator]
    def invite(self, request: HttpRequest) -> HttpResponse:
        form = InvitationForm(request.POST if request.method == "POST" else None, initial={"send": not no_mail()})
        form.fields["send"].disabled = bool(no_mail())
        form.fields["send"].help_text = no_mail()
        invited: list[Invited] = []
        if form.is_valid():
            invited = [_invite(email, send=form.cleaned_data["send"]) for email in form.cleaned_data["emails"]]
        context = {"form": form, "invited": invited, "registration": settings.REGISTRATION}
        return self._page(request, "users/admin/invite.html", "Invite", **context)

    def _page(self, request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
        everywhere = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, {**everywhere, **context})


def _invite(email: str, *, send: bool) -> Invited:
    try:
        token = services.invite(email)
    except DomainError as refusal:
        return Invited(email, refusal.detail)
    link = mail.link("register", token) or token
    if not send:
        return Invited(email, "Invited; pass this on:", link)
    mail.send_invitation(email)
    return Invited(email, "Invited by mail.")
