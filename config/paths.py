"""Which part of the service an address belongs to."""

from django.conf import settings
from django.http import HttpRequest


def is_in_admin(request: HttpRequest) -> bool:
    """Where staff see pages, and rows of everybody; whoever else calls is a program, and sees the own ones."""
    admin: str = settings.ADMIN_PATH
    return admin != "" and request.path_info.startswith(f"/{admin}")
