"""Makes objects through the services, as every door does."""

from functools import partial
from itertools import count
from typing import Any

from django.db import connection
from django.utils import timezone

from tasks import services
from tasks.models import Task
from tasks.projects.models import Project
from tasks.projects.services import create_project
from users import services as accounts
from users.models import Feed, Session, User
from users.tokens import own
from users.tokens.callers import Actor, Caller
from users.webhooks import services as webhooks
from users.webhooks.models import Delivery, Endpoint

PASSWORD = "correct horse battery"
_numbers = count(1)

# Of another object, by another actor.
FILL_LOG = """
    INSERT INTO users_change (user_id, version, operation, kind, type, object_id, previous, at, actor, diff)
    SELECT %s, number, number, 'updated', 'task', 7, number - 1, now(), 'worker', '{}'
    FROM generate_series(%s::bigint, %s::bigint) AS number
"""


def make_user(name: str = "someone", **overrides: Any) -> User:
    email = overrides.pop("email", f"{name}{next(_numbers)}@example.com")
    return User.objects.create_user(email, overrides.pop("password", PASSWORD), name=name, **overrides)


def make_session(user: User, **overrides: Any) -> Session:
    return accounts.open_session(user, accounts.Device(**overrides))


def make_tokens(user: User) -> own.TokenPair:
    """Those of a new session."""
    return own.mint(make_session(user))


def caller_of(user: User) -> Caller:
    """The caller of a request with the token of a new session."""
    token = make_tokens(user).access
    claims = own.read_access(token)
    return Caller(claims.user_id, claims.public_id, partial(own.authenticate, token), claims)


def make_token(user: User, *scopes: str, name: str = "Script", **options: Any) -> str:
    """A personal token, as its owner is shown it once; `options` as `services.create_token` takes them."""
    grant = own.Grant(user, None, timezone.now())
    _, token = accounts.create_token(grant, name=name, scopes=scopes, **options)
    return token


def make_task(user: Actor, **overrides: Any) -> Task:
    """A task like any other; `status`, `due_date` and so on as `services.create_task` takes them."""
    return services.create_task(user, **{"title": f"Task {next(_numbers)}", **overrides})


def make_project(user: User, name: str | None = None, **fields: Any) -> Project:
    return create_project(user, name=name or f"Project {next(_numbers)}", **fields)


def make_webhook(user: User, name: str = "hook", **fields: Any) -> Endpoint:
    """With a delivery of an event of this name."""
    made = webhooks.create_webhook(user, url=f"https://1.1.1.1/{name}", **fields)
    Delivery.objects.create(user=user, endpoint=made, event=name, webhook_id="msg_1", milliseconds=1, attempt=1)
    return made


def head_of(user: User) -> int:
    """The number of the user's last change; 0 before the first."""
    return Feed.objects.filter(user=user).values_list("head", flat=True).first() or 0


def fill_log(user: User, entries: int) -> None:
    """With so many entries more."""
    head = head_of(user)
    with connection.cursor() as cursor:
        cursor.execute(FILL_LOG, [user.pk, head + 1, head + entries])
    Feed.objects.filter(user=user).update(head=head + entries)
