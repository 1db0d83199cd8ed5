"""What has changed since a version, as a test reads it: not by the log, so that the two can be compared."""

from typing import TypeVar

from users.models import User
from users.resources.models import OwnedModel

M = TypeVar("M", bound=OwnedModel)


def changed_since(user: User, model: type[M], version: int) -> list[M]:
    """The user's rows with a later version, tombstones included, the oldest change first."""
    return list(model.objects.for_user(user).filter(version__gt=version).order_by("version"))
