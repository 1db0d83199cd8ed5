"""The mails of reminders, of the day's digest, and of the day's limit."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage
from django.utils import timezone
from django.utils.crypto import salted_hmac

from config.environment.rates import Rate
from config.http.limits import counters
from tasks.models import Task
from tasks.querysets import TaskQuerySet
from tasks.reminders.models import Reminder
from users.mail import services as mail
from users.mail.models import Mail
from users.models import Channel, User

REMINDER, LIMIT, DIGEST = "reminder", "reminder_limit", "digest"
UNSUBSCRIBE = "tasks.reminders.unsubscribe"  # the salt of its tokens
LIFETIME = dt.timedelta(hours=24)  # after the moment of a reminder
LATE = dt.timedelta(minutes=5)  # from then on, the mail says so
MAILS = Rate(200, 86_400)  # of reminders, to a user
LISTED = 50  # tasks in a digest


def queue(told: Mapping[User, Sequence[Reminder]], now: dt.datetime) -> list[int]:
    """Queue mails of as many as the day's limit of each user allows, and once a day a mail that says so; returns the
    ids of those that are told."""
    keys = {account: _key(account, REMINDER) for account in told if has_address(account)}
    if not keys:
        return []
    taken = counters.take_each({key: len(told[account]) for account, key in keys.items()}, MAILS)
    queued: list[Reminder] = []
    beyond: list[User] = []
    for account, key in keys.items():
        wanted = len(told[account])
        granted = taken[key].granted(wanted, MAILS.limit)
        queued += told[account][:granted]
        beyond += [account] if granted < wanted else []
    rows = [(each.user, _data(each), each.remind_at + LIFETIME) for each in queued if each.remind_at is not None]
    mail.queue_many(REMINDER, rows)
    for account in beyond:
        if counters.take(_key(account, LIMIT), 1, Rate(1, MAILS.seconds)).granted(1, 1):
            mail.queue(LIMIT, account, data={"most": MAILS.limit})
    return [each.pk for each in queued]


def queue_digest(account: User, today: dt.date) -> bool:
    """Whether there is anything to tell, and an address to tell it to."""
    is_told = has_address(account) and _due_by(account, today).exists()
    if is_told:
        mail.queue(DIGEST, account, data={"day": today.isoformat()})
    return is_told


def _due_by(account: User, day: dt.date) -> TaskQuerySet:
    tasks: TaskQuerySet = Task.objects.for_user(account).visible().active(account).open()
    return tasks.due_before(day + dt.timedelta(days=1))


def has_address(account: User) -> bool:
    return account.is_email_verified and bool(account.email)


def _key(account: User, kind: str) -> str:
    return salted_hmac(f"tasks.reminders.{kind}", str(account.pk), algorithm="sha256").hexdigest()[:32]


def _data(reminder: Reminder) -> dict[str, Any]:
    """Without text, which would outlive the task in a mail that waits or was given up."""
    return {"task": reminder.task_id, "remind_at": reminder.remind_at and reminder.remind_at.isoformat()}


# --- As they are sent -------------------------------------------------------------------------------


def _due(date: dt.date, at: dt.datetime | None, account: User) -> str:
    """In the user's time zone."""
    if at is None:
        return f"{date:%A, %-d %B %Y}"
    local = at.astimezone(account.zone)
    return f"{local:%A, %-d %B %Y, %H:%M} ({account.timezone})"


def look_up(rows: Sequence[Mail]) -> None:
    """The tasks of reminders, each of which has to be its user's."""
    wanted = Task.objects.visible().filter(pk__in=[row.data["task"] for row in rows])
    found: dict[Any, Task] = {
        (task.user_id, task.pk): task for task in wanted.only("user", "title", "due_date", "due_at")
    }
    for row in rows:
        row.found = found.get((row.user_id, row.data["task"]))


def compose(row: Mail, address: str) -> EmailMessage | None:
    account = row.user
    if account is None or not has_address(account) or Channel.MAIL not in account.reminder_channels:
        return None
    if (task := row.found) is None:  # deleted since, and its text with it
        return None
    remind_at = dt.datetime.fromisoformat(row.data["remind_at"])
    meant = remind_at.astimezone(account.zone)
    context = {
        "title": task.title,
        "due": task.due_date and _due(task.due_date, task.due_at, account),
        "link": f"{settings.APP_URL}/tasks/{task.pk}" if settings.APP_URL else "",
        "late": f"{meant:%H:%M on %A, %-d %B}" if timezone.now() - remind_at > LATE else "",
    }
    return _message(row, f"Reminder: {task.title}", context, address)


def compose_limit(row: Mail, address: str) -> EmailMessage | None:
    return _message(row, "Tickbase: no more reminders by mail today", row.data, address)


def compose_digest(row: Mail, address: str) -> EmailMessage | None:
    account = row.user
    if account is None or not has_address(account) or account.digest_time is None:
        return None
    day = dt.date.fromisoformat(row.data["day"])
    due = _due_by(account, day)
    rows = list(due.order_by("due_date", "due_at", "pk").values_list("title", "due_date", "due_at")[: LISTED + 1])
    if not rows:  # done meanwhile
        return None
    listed = [
        {"title": title, "due": _due(date, at, account), "is_overdue": date < day}
        for title, date, at in rows[:LISTED]
        if date is not None
    ]
    more = due.count() - LISTED if len(rows) > LISTED else 0
    context = {"tasks": listed, "more": more, "date": f"{day:%A, %-d %B %Y}", "link": settings.APP_URL}
    return _message(row, f"Your day: {context['date']}", context, address)


def _message(row: Mail, subject: str, context: dict[str, Any], address: str) -> EmailMessage:
    url = f"{settings.API_URL}/unsubscribe/{_token(row)}" if settings.API_URL else ""
    subject = " ".join("".join(each if each.isprintable() else " " for each in subject).split())
    message = mail.message(subject, f"reminders/{row.kind}.txt", {**context, "unsubscribe": url}, address)
    message.extra_headers["Auto-Submitted"] = "auto-generated"
    if url:  # RFC 8058: the mail program's own button, in one click
        message.extra_headers |= {
            "List-Unsubscribe": f"<{url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    return message


def _token(row: Mail) -> str:
    return signing.dumps([row.user_id, DIGEST if row.kind == DIGEST else REMINDER], salt=UNSUBSCRIBE)
