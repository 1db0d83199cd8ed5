"""What the audit tells."""

from typing import Any

from users.audit import Action
from users.models import AuditEvent


def events(**conditions: Any) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(**conditions).order_by("pk"))


def only(action: Action) -> AuditEvent:
    [event] = events(action=action)
    return event


def staff_changes() -> int:
    """How many it tells of."""
    return len(events(action__in=[Action.STAFF_ADDED, Action.STAFF_CHANGED, Action.STAFF_DELETED]))
