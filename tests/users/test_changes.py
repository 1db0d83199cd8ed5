from tests.client import Api
from tests.factories import make_task
from users.models import User
from tests.plans import statements


def test_smoke(as_alice: Api, alice: User) -> None:
    one, two = make_task(alice), make_task(alice)
    first = as_alice.get("/api/me/changes?limit=1")
    print(first.json())
    second = as_alice.get(f"/api/me/changes?limit=1&since={first.json()['cursor']}")
    print(second.json())
    c = second.json()['cursor']
    print(c, len(c))
    as_alice.patch(f"/api/me/tasks/{one.pk}", {"title": "x"})
    as_alice.delete(f"/api/me/tasks/{two.pk}")
    print(as_alice.get(f"/api/me/changes?since={c}").json())
    print(*statements(lambda: as_alice.get(f"/api/me/changes?since={c}"), "", ""), sep="\n")
    print(*statements(lambda: as_alice.get(f"/api/me/changes"), "", ""), sep="\n")
    assert 0
