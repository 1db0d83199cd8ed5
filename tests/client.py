"""A client of the API: JSON in, JSON out, signed in as one user."""

import re
from typing import Any, Protocol
from urllib.parse import urljoin

from rest_framework.test import APIClient

from tests.factories import make_tokens
from users.models import User


class Answer(Protocol):
    """What Django's test client returns, as far as tests look at it."""

    status_code: int
    content: bytes

    def json(self) -> Any: ...
    def __getitem__(self, header: str) -> str: ...
    def __contains__(self, header: str) -> bool: ...


class Api:
    """Calls paths below /api; `api.tasks` is the user's own list."""

    def __init__(self, user: User | None = None) -> None:
        self.client = APIClient(raise_request_exception=False)
        self.user = user
        self.tasks = "/api/me/tasks"
        if user is not None:
            self.tokens = make_tokens(user)
            self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.tokens.access}")

    def get(self, path: str, **headers: str) -> Answer:
        return self.client.get(path, headers=_headers(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.client.post(path, body, format="json", headers=_headers(headers))

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.client.put(path, body, format="json", headers=_headers(headers))

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.client.patch(path, body, format="json", headers=_headers(headers))

    def delete(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.client.delete(path, body, format="json", headers=_headers(headers))


def address_in(answer: Any, header: str) -> str:
    """What a header refers to, resolved against the address that was asked (RFC 3986, section 5)."""
    return urljoin(_asked(answer), str(answer[header]))


def next_page(answer: Any) -> str | None:
    """The address in the `Link`, resolved likewise (RFC 8288, section 3.2)."""
    if "Link" not in answer:
        return None
    link = re.fullmatch(r'<([!-;=?-~]+)>; rel="next"', answer["Link"])
    assert link, answer["Link"]
    return urljoin(_asked(answer), str(link[1]))


def _asked(answer: Any) -> str:
    path: str = answer.wsgi_request.get_full_path()
    return path


def _headers(headers: dict[str, str]) -> dict[str, str]:
    """`if_match='"1"'` is the header If-Match."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
