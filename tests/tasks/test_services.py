"""The rules hold for whoever calls the services: REST, the admin, commands, imports."""

import datetime as dt
from typing import Any

import pytest

from config.errors import Invalid
from tasks import services
from tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, Task
from tests.factories import head_of, make_task, make_user
from users.models import User

BAD: list[tuple[str, Any]] = [
    ("title", "   "),
    ("title", "x" * 201),
    ("title", "a\0b"),
    ("title", "a\ud800"),
    ("description", "x" * (MAX_DESCRIPTION + 1)),
    ("description", "\0"),
    ("status", "done"),
    ("priority", "urgent"),
    ("tags", ["x" * (MAX_TAG + 1)]),
    ("tags", [" "]),
    ("tags", [str(number) for number in range(MAX_TAGS + 1)]),
    ("due_date", dt.date(1899, 12, 31)),
    ("due_date", dt.date(3000, 1, 1)),
    ("due_at", dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
    ("due_at", dt.datetime(9999, 12, 31, 23, tzinfo=dt.UTC)),
]


def test_titles_and_tags_are_trimmed_and_tags_kept_once(alice: User) -> None:
    task = services.create_task(alice, title="  padded ", tags=[" b ", "a", "b"])
    task.refresh_from_db()
    assert (task.title, task.tags) == ("padded", ["b", "a"])


@pytest.mark.parametrize(("member", "value"), BAD)
def test_a_bad_value_is_refused_by_name_and_takes_no_number(db: None, member: str, value: Any) -> None:
    user = make_user(timezone="Pacific/Kiritimati")
    task = make_task(user)
    fields: dict[str, Any] = {"title": "A", member: value}
    with pytest.raises(Invalid) as created:
        services.create_task(user, **fields)
    with pytest.raises(Invalid) as updated:
        services.update_task(user, task.pk, {member: value})  # type: ignore[misc]  # the name is a parameter
    assert created.value.pointer == updated.value.pointer == f"/{member}"
    assert (Task.objects.count(), head_of(user)) == (1, 1)


@pytest.mark.parametrize("uid", ["x" * 256, "a\0b"])
def test_a_bad_uid_is_refused(alice: User, uid: str) -> None:
    with pytest.raises(Invalid):
        services.create_task(alice, title="A", uid=uid)
    assert not Task.objects.exists()


@pytest.mark.parametrize("edge", ["1900-01-02T00:00:00Z", "2999-12-30T00:00:00Z"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_at_the_edge_of_the_calendar_an_answer_can_be_put_back(db: None, edge: str, zone: str) -> None:
    from tests.client import Api

    api = Api(make_user(timezone=zone))
    shown = api.post("/api/me/tasks", {"title": "A", "due_at": edge}).json()
    assert api.put(f"/api/me/tasks/{shown['id']}", shown).json() == shown
