"""The second factor of staff: TOTP devices (RFC 6238) and recovery codes.

django-otp verifies codes under the lock of their device: each is accepted once, and after every failure the next
attempt has to wait longer.
"""

import base64
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session as AdminSession
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import get_random_string, salted_hmac
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
MAX_PENDING = 10  # unconfirmed devices of a user
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without look-alikes
_GROUPS, _GROUP = 4, 4
_DIGITS = 6


class WrongCode(Invalid):
    code = "wrong_code"


def device_of(user: User) -> TOTPDevice | None:
    """The confirmed device, if there is one."""
    return _confirmed(user).first()


def _confirmed(user: User) -> QuerySet[Any]:
    devices: QuerySet[Any] = TOTPDevice.objects.filter(user=user, confirmed=True)
    return devices


@retried_transaction
def begin_enrolment(user: User) -> TOTPDevice:
    """Create an unconfirmed device with a new secret; `enrol` confirms it.

    Unconfirmed devices of the user's other sessions stay, but for the oldest beyond MAX_PENDING.
    """
    lock_user(user.pk)
    kept = _pending(user).order_by("-pk").values("pk")[: MAX_PENDING - 1]
    _pending(user).exclude(pk__in=kept).delete()
    return TOTPDevice.objects.create(user=user, name="authenticator", confirmed=False)


def pending_device(user: User, device_id: int | None) -> TOTPDevice | None:
    """An unconfirmed device of the user's."""
    return _pending(user).filter(pk=device_id).first()


def _pending(user: User) -> QuerySet[Any]:
    devices: QuerySet[Any] = TOTPDevice.objects.filter(user=user, confirmed=False)
    return devices


def enrol(device: TOTPDevice, code: str) -> tuple[TOTPDevice, list[str]]:
    """Confirm a pending device with its first code; also returns the recovery codes, of which only digests are stored.

    Raises WrongCode.
    """
    enrolled = _enrol(device.user, device.pk, code)
    if enrolled is None:
        raise WrongCode(_refusal(_pending(device.user).filter(pk=device.pk)))
    return enrolled


@retried_transaction
def _enrol(user: User, device_id: int, code: str) -> tuple[TOTPDevice, list[str]] | None:
    """None for a wrong code: returned, not raised, so that the failure is committed."""
    lock_user(user.pk)
    device = _pending(user).filter(pk=device_id).select_for_update().first()
    if device is None or device_of(user) is not None or not _passes(device, code):
        return None
    device.confirmed = True
    device.save(update_fields=["confirmed"])
    _pending(user).delete()
    audit.record(Action.TOTP_ENROLLED, user)
    StaticDevice.objects.filter(user=user).delete()
    recovery = StaticDevice.objects.create(user=user, name="recovery codes")
    codes = ["-".join(get_random_string(_GROUP, _ALPHABET) for _ in range(_GROUPS)) for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=recovery, token=_digest(user, code)) for code in codes)
    return device, codes


def verify(user: User, code: str) -> TOTPDevice:
    """Accept a code of the user's device, or a recovery code, once; returns the device. Raises WrongCode."""
    device = _verify(user, code.strip())
    if device is None:
        raise WrongCode(_refusal([*_confirmed(user), *StaticDevice.objects.filter(user=user)]))
    return device


@retried_transaction
def _verify(user: User, code: str) -> TOTPDevice | None:
    """None for a wrong code: returned, not raised, so that the failure is committed."""
    device = _confirmed(user).select_for_update().first()
    if device is None:
        return None
    digits = code.replace(" ", "")
    is_recovery = not (digits.isascii() and digits.isdecimal() and len(digits) == _DIGITS)
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


def _refusal(devices: Iterable[Device]) -> str:
    seconds = 0
    for device in devices:
        is_allowed, why = device.verify_is_allowed()
        until: datetime | None = None if is_allowed else (why or {}).get("locked_until")
        if until:
            seconds = max(1, seconds, round((until - timezone.now()).total_seconds()))
    if not seconds:
        return "This code is wrong, or has been used."
    return f"This code is wrong, was used or came too early; wait for {seconds} s, and send the one that is shown then."


@retried_transaction
def reset_second_factor(user: User) -> bool:
    """Delete the user's devices and recovery codes, and end their admin sessions: a finder of the lost device may be
    signed in.

    False if there was no device.
    """
    lock_user(user.pk)
    deleted, _ = TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    if not deleted:
        return False
    # Django's sessions have no user column; the id is in their encoded data.
    for session in AdminSession.objects.filter(expire_date__gt=timezone.now()):
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            session.delete()
    audit.record(Action.TOTP_RESET, user)
    return True


def _digest(user: User, code: str) -> str:
    """The stored form of a recovery code. Keyed with SECRET_KEY, so that a leaked table cannot be brute-forced."""
    text = f"{user.pk}:{''.join(code.lower().split()).replace('-', '')}"
    digest = salted_hmac("users.recovery-code", text, algorithm="sha256").digest()
    return base64.b32encode(digest[:10]).decode()
