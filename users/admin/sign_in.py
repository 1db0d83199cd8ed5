"""How staff gets into the admin: with a password, as rarely as through the API, and then with the second factor."""

import math
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.forms import AuthenticationForm

from config.http.limits.throttling import Counter, take_each
from users import attempts, audit
from users.audit import Action
from users.models import User
from users.services import second_factor
from users.text import MAX_EMAIL, MAX_PASSWORD, canonical_email

_site_login = admin.site.login
_site_logout = admin.site.logout
is_staff_member = admin.site.has_permission


class SignInForm(AuthenticationForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].validators.append(MaxLengthValidator(MAX_EMAIL))
        self.fields["password"].validators.append(MaxLengthValidator(MAX_PASSWORD))

    def clean(self) -> Any:
        try:
            return super().clean()
        except ValidationError:
            email = self.cleaned_data.get("username", "")
            user = User.objects.filter(email_canonical=canonical_email(email)).first()
            audit.failed_sign_in(user, email, admin=True)
            raise


def sign_in(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """AdminSite.login, which knows no limits; whoever lacks only the second factor is led there."""
    if request.method == "POST":
        return _attempt(request, extra_context)
    if is_staff_member(request) and not has_permission(request):
        name = "code" if second_factor.device_of(user_of(request)) else "enrol"
        return redirect(f"{reverse(f'second_factor:{name}')}?{request.GET.urlencode()}")
    return _site_login(request, extra_context)


def _attempt(request: HttpRequest, extra_context: dict[str, Any] | None) -> HttpResponse:
    email = attempts.canonical(request.POST.get("username"))
    tried = attempts.counters("login", request, lambda: email, attempts.CookieProof.of(request))
    if (refusal := refused(request, "login", tried)) is not None:
        return refusal
    response = _site_login(request, extra_context)
    if response.status_code == 302:
        user = user_of(request)
        audit.record(Action.SIGNED_IN, user, admin=True)
        attempts.remember_device(response, user.email_canonical or "")
    return response


def sign_out(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    if request.method == "POST" and request.user.is_authenticated:
        audit.record(Action.SIGNED_OUT, user_of(request), admin=True)
    return _site_logout(request, extra_context)


def has_permission(request: HttpRequest) -> bool:
    """AdminSite.has_permission; and the second factor was shown, if there is one or has to be one."""
    if not is_staff_member(request):
        return False
    user: Any = request.user
    if user.is_verified():
        return True
    return not settings.ADMIN_REQUIRE_TOTP and second_factor.device_of(user_of(request)) is None


def user_of(request: HttpRequest) -> User:
    """Who is known to be signed in."""
    assert isinstance(request.user, User)
    return request.user


# --- Limits -----------------------------------------------------------------------------------------


def refused(request: HttpRequest, policy: str, tried: Iterable[Counter]) -> HttpResponse | None:
    """A page that says when to come back; None if the attempt may be made."""
    for verdict in take_each(tried, policy):
        if not verdict.decision.is_granted:
            return _too_many(request, max(1, math.ceil(verdict.decision.seconds_left)))
    return None


def _too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "Too many attempts",
        "seconds": seconds,
        "again": f"{reverse('admin:login')}?{REDIRECT_FIELD_NAME}={reverse('admin:index')}",
    }
    headers = {"Retry-After": str(seconds)}
    return TemplateResponse(request, "users/admin/too_many.html", context, status=429, headers=headers)
