"""The AdminSite: sign-in with the API's rate limits, the second factor, and the dashboard."""

import math
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string

from config.admin import site
from config.database.isolation import all_users
from config.http.limits.throttling import Counter, take_each
from config.operations import work
from users import attempts, audit
from users.admin.forms import OwnPasswordForm, SignInForm
from users.audit import Action
from users.models import User
from users.resources.resource import registered
from users.services import second_factor


class AdminSite(site.AdminSite):
    login_form = SignInForm

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff whose second factor is verified, or who have none and need none."""
        if not is_staff_member(request):
            return False
        user: Any = request.user
        if user.is_verified():
            return True
        return not settings.ADMIN_REQUIRE_TOTP and second_factor.device_of(user_of(request)) is None

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Redirects staff that lacks only the second factor to its page."""
        if request.method != "POST":
            if is_staff_member(request) and not self.has_permission(request):
                name = "code" if second_factor.device_of(user_of(request)) else "enrol"
                return redirect(f"{reverse(f'second_factor:{name}')}?{request.GET.urlencode()}")
            return super().login(request, extra_context)
        email = attempts.canonical(request.POST.get("username"))
        tried = attempts.counters("login", request, lambda: email, attempts.CookieProof.of(request))
        if (refusal := refused(request, "login", tried)) is not None:
            return refusal
        response = super().login(request, extra_context)
        if response.status_code == 302:
            user = user_of(request)
            audit.record(Action.SIGNED_IN, user, admin=True)
            attempts.remember_device(response, user.email_canonical or "")
        return response

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if request.method == "POST" and request.user.is_authenticated:
            audit.record(Action.SIGNED_OUT, user_of(request), admin=True)
        return super().logout(request, extra_context)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's view with a form that revokes old tokens, for which AdminSite has no attribute; rate limited."""
        if request.method == "POST":
            tried = attempts.counters_of("login", request, user_of(request))
            if (refusal := refused(request, "password", tried)) is not None:
                return refusal
        request.current_app = self.name
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The dashboard: what the resources have to show, and whether deferred work is done."""
        now = timezone.now()
        with all_users():
            seen, backlog = work.last_seen(), work.backlog(now)
        work_done = {"is_working": work.is_alive(now, seen), "last_seen": seen, "backlog": backlog}
        context = {**(extra_context or {}), **work_done}
        for resource in registered():
            if resource.dashboard:
                context = {**context, **import_string(resource.dashboard)(request)}
        return super().index(request, context)


def is_staff_member(request: HttpRequest) -> bool:
    """Whether active staff are signed in, with or without the second factor."""
    return isinstance(request.user, User) and request.user.is_active and request.user.is_staff


def user_of(request: HttpRequest) -> User:
    """The user of a request that is known to be authenticated."""
    assert isinstance(request.user, User)
    return request.user


def refused(request: HttpRequest, policy: str, tried: Iterable[Counter]) -> HttpResponse | None:
    """A page that says when to come back; None if the attempt may be made."""
    verdict = next((each for each in take_each(tried, policy) if not each.decision.is_granted), None)
    if verdict is None:
        return None
    seconds = max(1, math.ceil(verdict.decision.seconds_left))
    context = {
        **admin.site.each_context(request),
        "title": "Too many attempts",
        "seconds": seconds,
        "again": f"{reverse('admin:login')}?{REDIRECT_FIELD_NAME}={reverse('admin:index')}",
    }
    headers = {"Retry-After": str(seconds)}
    return TemplateResponse(request, "users/admin/too_many.html", context, status=429, headers=headers)
