"""The authentication backend of the admin; it verifies passwords as the API does."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from users import services
from users.models import User


class PasswordBackend(ModelBackend):
    """Django's own hashes once for an unknown address, where a known one may need two: a timing leak."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        user, is_proven = services.try_password(username, password)
        return user if is_proven else None
