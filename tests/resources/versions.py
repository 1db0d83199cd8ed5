"""Checks that versions count every change of a user and no write undoes another, for the suite and for what fails."""

from tests.changes import changed_since
from tests.client import Api
from tests.factories import head_of, make_user
from tests.problems import problem_of
from tests.races import Rival, at_once
from tests.resources.declared import address, label, make, named, rename, text_of
from users.models import User
from users.resources import writes
from users.resources.resource import Resource


def check_a_write_that_waited_is_refused(resource: Resource) -> None:
    """It expects the version that was there when it began; another transaction has changed the row by then."""
    user = make_user()
    row, api = make(resource, user), Api(user)
    with Rival(lambda: rename(resource, row, "theirs"), lambda: None):
        answer = api.patch(address(resource, row.pk), {label(resource): "mine"}, if_match='"1"')
    assert (answer.status_code, text_of(resource, row), row.version) == (412, "theirs", 2)
    assert problem_of(answer, 412)["current"][label(resource)] == "theirs"


def check_no_update_is_lost(resource: Resource, attempts: int) -> None:
    """So many increments by each of 8 threads; who is refused begins anew from `current`."""
    user, member = make_user(), label(resource)
    row = make(resource, user, **named(resource, "0"))
    path = address(resource, row.pk)

    def attempt_increments() -> list[int]:
        api, statuses = Api(user), []
        current = api.get(path).json()
        for _ in range(attempts):
            body = {member: str(int(current[member]) + 1)}
            answer = api.patch(path, body, if_match=f'"{current["version"]}"')
            statuses.append(answer.status_code)
            current = answer.json() if answer.status_code == 200 else problem_of(answer, 412)["current"]
        return statuses

    statuses = [status for made in at_once([attempt_increments] * 8) for status in made]
    successes = statuses.count(200)
    assert text_of(resource, row) == str(successes)
    # Nothing but a lost attempt takes a number that no row has, and each request makes at most so many.
    assert successes <= row.version - 1 <= head_of(user) - 1 <= successes + writes.OPTIMISTIC_ATTEMPTS * 8 * attempts
    assert successes + statuses.count(412) == 8 * attempts
    assert 0 < successes < 8 * attempts  # else nobody was in anybody's way


def check_every_write_takes_the_next_number(resource: Resource, user: User) -> None:
    """And a change that is refused gives it back; whoever follows the changes has the fresh state."""
    row = make(resource, user)
    api, path = Api(user), address(resource, row.pk)
    api.patch(path, {label(resource): "New"}, if_match='"7"')
    api.delete(address(resource, 2**62))
    api.post(address(resource), {**named(resource, "Twin"), "uid": row.uid})
    api.patch(path, {})
    assert (row.version, head_of(user)) == (1, 1)
    changes = [
        lambda: rename(resource, row),
        lambda: resource.delete(user, row.pk),
        lambda: resource.restore(user, row.pk),
        lambda: make(resource, user),
    ]
    for number, write in enumerate(changes, start=2):
        write()
        (changed,) = changed_since(user, resource.model, number - 1)
        assert changed.version == head_of(user) == number
        assert changed == resource.model.objects.for_user(user).get(version=number)
