"""Demo accounts, many at once."""

import datetime as dt
import re
from typing import NamedTuple

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError

from config.database.transactions import retried_transaction
from config.errors import violated_constraint
from users.models import EMAIL_TAKEN, User
from users.services.accounts import EmailTaken, require_strong
from users.text import canonical_email, opaque_string


class Person(NamedTuple):
    name: str
    timezone: str
    since: dt.datetime


_NUMBERED = re.compile(r"demo(\d{1,9})@example\.com")


def open_demo_accounts(people: list[Person], password: str) -> list[User]:
    """Create verified accounts demo1@example.com, demo2@… after those of earlier runs. Raises WeakPassword, EmailTaken.

    They share one password and its hash, since hashing is slow.
    """
    password = opaque_string(password)
    for person in people:
        require_strong(password, User(email="demo@example.com", name=person.name), pointer="/password")
    return _open(people, make_password(password))


@retried_transaction
def _open(people: list[Person], hashed: str) -> list[User]:
    taken = User.objects.filter(email_canonical__regex=r"^demo\d{1,9}@example\.com$")
    numbers = [int(_NUMBERED.sub(r"\1", str(email))) for email in taken.values_list("email_canonical", flat=True)]
    first = max(numbers, default=0) + 1
    emails = [f"demo{number}@example.com" for number in range(first, first + len(people))]
    users = [
        User(
            email=email,
            email_canonical=canonical_email(email),
            email_verified_at=person.since,
            created_at=person.since,
            name=person.name,
            timezone=person.timezone,
            password=hashed,
        )
        for email, person in zip(emails, people, strict=True)
    ]
    try:
        return User.objects.bulk_create(users)
    except IntegrityError as error:
        if violated_constraint(error) != EMAIL_TAKEN:
            raise
        raise EmailTaken("Somebody else has just made demo accounts; run it again.") from error
