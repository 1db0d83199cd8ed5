"""The staff's second factor: a device that shows codes (TOTP, RFC 6238), and recovery codes for when it is lost.

django-otp checks them, each under the lock of its device: none serves twice, and after each mistake the next attempt
has to wait longer.
"""

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session as AdminSession
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_otp.models import Device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.database.transactions import retried_transaction
from config.errors import Invalid
from users import audit
from users.audit import Action
from users.models import User
from users.services.sessions import lock_user

RECOVERY_CODES = 10
MAX_PENDING = 10  # devices of a user that wait for a first code
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what looks like something else
_GROUPS, _GROUP = 4, 4
_DIGITS = 6


class WrongCode(Invalid):
    code = "wrong_code"


def device_of(user: User) -> TOTPDevice | None:
    """The one that was set up; None if there is none yet."""
    return _confirmed(user).first()


def _confirmed(user: User) -> QuerySet[Any]:
    devices: QuerySet[Any] = TOTPDevice.objects.filter(user=user, confirmed=True)
    return devices


@retried_transaction
def begin_enrolment(user: User) -> TOTPDevice:
    """A device with a new secret, which counts once a code of it has come back.

    Those of the user's other sessions stay; of many that nobody has confirmed, the oldest go.
    """
    lock_user(user.pk)
    kept = _pending(user).order_by("-pk").values("pk")[: MAX_PENDING - 1]
    _pending(user).exclude(pk__in=kept).delete()
    return TOTPDevice.objects.create(user=user, name="authenticator", confirmed=False)


def pending_device(user: User, device_id: int | None) -> TOTPDevice | None:
    """One of those that were not confirmed yet."""
    return _pending(user).filter(pk=device_id).first()


def _pending(user: User) -> QuerySet[Any]:
    devices: QuerySet[Any] = TOTPDevice.objects.filter(user=user, confirmed=False)
    return devices


def enrol(device: TOTPDevice, code: str) -> tuple[TOTPDevice, list[str]]:
    """Confirm a pending device with a code that it shows; returns the recovery codes, too, of which only digests are
    kept.

    Raises WrongCode.
    """
    enrolled = _enrol(device.user, device.pk, code)
    if enrolled is None:
        raise WrongCode(_refusal(_pending(device.user).filter(pk=device.pk)))
    return enrolled


@retried_transaction
def _enrol(user: User, device_id: int, code: str) -> tuple[TOTPDevice, list[str]] | None:
    """None for a wrong code, which must stay counted."""
    lock_user(user.pk)
    device = _pending(user).filter(pk=device_id).select_for_update().first()
    if device is None or device_of(user) is not None or not _passes(device, code):
        return None
    device.confirmed = True
    device.save(update_fields=["confirmed"])
    _pending(user).delete()
    audit.record(Action.TOTP_ENROLLED, user)
    return device, _new_recovery_codes(user)


def _new_recovery_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = ["-".join(_group() for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=_digest(user, code)) for code in codes)
    return codes


def _group() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP))


def verify(user: User, code: str) -> TOTPDevice:
    """The device, if one of its codes or a recovery code was given, which then has served. Raises WrongCode."""
    device = _verify(user, code.strip())
    if device is None:
        raise WrongCode(_refusal([*_confirmed(user), *StaticDevice.objects.filter(user=user)]))
    return device


@retried_transaction
def _verify(user: User, code: str) -> TOTPDevice | None:
    """None for a wrong code, which must stay counted."""
    device = _confirmed(user).select_for_update().first()
    if device is None:
        return None
    is_recovery = not _is_digits(code)
    used: Device | None = device
    if is_recovery:
        used = StaticDevice.objects.filter(user=user).select_for_update().first()
        code = _digest(user, code)
    if used is None or not _passes(used, code):
        audit.record(Action.CODE_REFUSED, user)
        return None
    audit.record(Action.RECOVERY_CODE_USED if is_recovery else Action.CODE_ACCEPTED, user)
    return device


def _passes(device: Device, code: str) -> bool:
    return bool(device.verify_token(code.replace(" ", "")))


def _is_digits(code: str) -> bool:
    text = code.replace(" ", "")
    return text.isascii() and text.isdecimal() and len(text) == _DIGITS


def _refusal(devices: Iterable[Device]) -> str:
    seconds = max(map(_seconds_locked, devices), default=0)
    if not seconds:
        return "This code is wrong, or has been used."
    return f"This code is wrong, was used or came too early; wait for {seconds} s, and send the one that is shown then."


def _seconds_locked(device: Device) -> int:
    is_allowed, why = device.verify_is_allowed()
    until: datetime | None = None if is_allowed else (why or {}).get("locked_until")
    return max(1, round((until - timezone.now()).total_seconds())) if until else 0


@retried_transaction
def reset_second_factor(user: User) -> bool:
    """Forget the device and the recovery codes, and end the sessions at the admin; False if there was no device."""
    lock_user(user.pk)
    deleted, _ = TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    if deleted:
        _end_admin_sessions(user)
        audit.record(Action.TOTP_RESET, user)
    return bool(deleted)


def _end_admin_sessions(user: User) -> None:
    """Whoever has the lost device may be signed in. Only the sessions themselves tell whose they are."""
    for session in AdminSession.objects.filter(expire_date__gt=timezone.now()):
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            session.delete()


def _digest(user: User, code: str) -> str:
    """What is kept of a recovery code: without SECRET_KEY nobody finds it by trying."""
    text = f"{user.pk}:{''.join(code.lower().split()).replace('-', '')}"
    digest = salted_hmac("users.recovery-code", text, algorithm="sha256").digest()
    return base64.b32encode(digest[:10]).decode()
