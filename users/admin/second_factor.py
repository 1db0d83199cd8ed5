"""Views of the second factor: enrolment, and the code at sign-in."""

import base64
from collections.abc import Callable
from typing import Any

import django_otp
from django import forms
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.widgets import UnfoldAdminTextInputWidget

from config.http.limits.throttling import Counter
from users.admin.site import is_staff_member, refused, user_of
from users.services import second_factor

_PENDING = "pending_device"

View = Callable[[HttpRequest], HttpResponse]


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=40,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}
        ),
    )


def _for_staff(view: View) -> View:
    """A view for staff whose password was right; others are redirected to the sign-in."""

    def guarded(request: HttpRequest) -> HttpResponse:
        if not is_staff_member(request):
            return redirect("admin:login")
        user = user_of(request)
        if request.method == "POST":
            refusal = refused(request, "code", [Counter("login", f"user:{user.pk}")])
            if refusal is not None:
                return refusal
        return view(request)

    return never_cache(csrf_protect(sensitive_post_parameters()(guarded)))


@_for_staff
def enter_code(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    if second_factor.device_of(user) is None:
        return redirect("second_factor:enrol")
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            device = second_factor.verify(user, form.cleaned_data["code"])
        except second_factor.WrongCode as error:
            form.add_error("code", error.detail)
        else:
            _note_verified(request, device)
            return redirect(_next(request))
    return _page(request, "code", "Second factor", form=form)


@_for_staff
def enrol(request: HttpRequest) -> HttpResponse:
    """Once: a new device takes the place of a lost one after `manage.py reset_totp`."""
    user = user_of(request)
    if second_factor.device_of(user) is not None:
        return redirect("admin:index")
    # One for each session: its secret stays what was scanned, and no other session ever shows it.
    device = second_factor.pending_device(user, request.session.get(_PENDING))
    if device is None:
        device = second_factor.begin_enrolment(user)
        request.session[_PENDING] = device.pk
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            device, codes = second_factor.enrol(device, form.cleaned_data["code"])
        except second_factor.WrongCode as error:
            form.add_error("code", error.detail)
        else:
            _note_verified(request, device)
            return _page(request, "recovery_codes", "Recovery codes", codes=codes)
    secret = base64.b32encode(device.bin_key).decode().rstrip("=")
    typed = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))  # in groups of four, for typing
    return _page(request, "enrol", "Set up the second factor", form=form, image=_qr_code(device), secret=typed)


def _note_verified(request: HttpRequest, device: TOTPDevice) -> None:
    """Mark the session as verified, under a new key: an attacker without the second factor may know the old one."""
    request.session.cycle_key()
    django_otp.login(request, device)


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get(REDIRECT_FIELD_NAME, "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else reverse("admin:index")


def _page(request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
    following = {"next": _next(request), "action": request.get_full_path()}
    everywhere = {**admin.site.each_context(request), "title": title, **following}
    return TemplateResponse(request, f"users/admin/{name}.html", {**everywhere, **context})


def _qr_code(device: TOTPDevice) -> SafeString:
    """An SVG that is made here, so that the secret goes to no other service."""
    import segno  # of use to those who enrol

    image: str = segno.make(device.config_url).svg_inline(scale=5, light="#fff", svgclass=None, lineclass=None)
    return mark_safe(image)  # noqa: S308 # nosec B308 B703 (modules and numbers only)
