"""The choices of a task's status and priority, and of the list's order."""

from django.db.models import TextChoices


class Status(TextChoices):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


OPEN = (Status.PENDING, Status.IN_PROGRESS)
INBOX, ACTIVE = "inbox", "active"  # in place of the id of a project


class Priority(TextChoices):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Sort(TextChoices):
    """The orders of the list; a leading "-" reverses."""

    CREATED = "created"
    UPDATED = "updated"
    DUE_DATE = "due_date"
    PRIORITY = "priority"
    TITLE = "title"
    POSITION = "position"
