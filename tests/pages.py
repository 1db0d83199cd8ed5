"""Reads the admin's pages as a browser does: what a form would send, and what it says."""

import re
import time
from html.parser import HTMLParser
from typing import Any

from django.db import connection
from django.test import Client

from tests.factories import PASSWORD
from users.models import User

CHOSEN = {"checkbox", "radio"}
MESSAGES = r'(?s)<ul class="flex flex-col gap-4 mb-6">(.*?)</ul>'
ERRORS = r'(?s)<div class="(?:errornote|mt-2 text-red-600) [^>]*>(.*?)</div>'


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def sign_in(email: str, password: str = PASSWORD, **environ: Any) -> tuple[Client, Any]:
    """With the form; returns what it answers, too."""
    client = Client(**environ)
    return client, client.post("/admin/login/?next=/admin/", {"username": email, "password": password})


class Page(HTMLParser):
    """The fields of the page's main form or list, its error messages and its messages to the user."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, str | list[str]] = {}
        self.readonly = re.findall(r'<div class="readonly [^>]*>(.*?)</div>', html, re.DOTALL)
        self.messages = _texts(MESSAGES, html)
        self.errors = _texts(
            r'<div class="(?:errornote|mt-2 text-red-600) [^>]*>(.*?)</div>', re.sub(MESSAGES, "", html)
        )
        self._form = self._text = self._select = ""
        self.feed(re.sub(r"\r\n?", "\n", html))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "form":
            self._form = values.get("id", "")
        elif self._form != "changelist-form" and not self._form.endswith("_form"):
            return
        elif tag == "input" and name and (values["type"] not in CHOSEN or "checked" in values):
            if values["type"] != "submit":
                value = values.get("value", "on" if values["type"] in CHOSEN else "")
                self.fields[name] = value.replace("\n", "" if values["type"] == "text" else "\r\n")
        elif tag == "textarea":
            self._text, self.fields[name] = name, ""
        elif tag == "select":
            self._select = name
            self.fields[name] = []
        elif tag == "option" and "selected" in values:
            self.fields[self._select] = [*self.fields[self._select], values["value"]]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._text:
            # The line break after the tag is no content; those within are sent as CRLF.
            self.fields[self._text] = str(self.fields[self._text]).removeprefix("\n").replace("\n", "\r\n")
            self._text = ""

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[self._text] = str(self.fields[self._text]) + data


def _texts(pattern: str, html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", "", found).strip() for found in re.findall(pattern, html, re.DOTALL))


def open_page(client: Client, path: str) -> Page:
    answer = client.get(path, follow=True)
    assert answer.status_code == 200, (path, answer.status_code)
    return Page(answer.content.decode())


def submit(client: Client, path: str, **typed: str | list[str]) -> Page:
    """Open a form, type over some fields, save, and read the page that follows."""
    return send(client, path, {**open_page(client, path).fields, **typed})


def send(client: Client, path: str, fields: dict[str, str | list[str]]) -> Page:
    answer = client.post(path, fields, follow=True)
    assert answer.status_code == 200, (path, answer.status_code)
    return Page(answer.content.decode())


def first_column(client: Client, path: str) -> list[str]:
    """Of a list in the admin, as it reads."""
    cells = re.findall(r"(?s)<th[^>]*class=[^>]*field-[^>]*>(.*?)</th>", client.get(path).content.decode())
    return [" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in cells]


def wait_for_a_lock() -> None:
    """Until some other session of this database waits for a lock."""
    deadline = time.monotonic() + 20
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees the activity of its first look
            cursor.execute(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone():
                return
            time.sleep(0.02)
    raise AssertionError("nobody waited for a lock")
