"""Runs each test for every resource that is registered, and for the one of the tests."""

from collections.abc import Iterator

import pytest
from django.test import Client

from tests.client import Api
from tests.pages import signed_in
from tests.problems import stored
from tests.resources.declared import RESOURCES, THOROUGH, example, installed, make, provided, unbounded
from users.models import IdempotencyKey, User
from users.resources.models import OwnedModel
from users.resources.resource import Resource


@pytest.fixture(params=[pytest.param(each, id=each.name, marks=THOROUGH.get(each.name, [])) for each in RESOURCES])
def resource(request: pytest.FixtureRequest) -> Iterator[Resource]:
    databases = [name for name in ("transactional_db", "db") if name in request.fixturenames]
    if marker := request.node.get_closest_marker("django_db"):
        databases.append("transactional_db" if marker.kwargs.get("transaction") else "db")
    for name in databases[:1]:
        request.getfixturevalue(name)
    if not databases:
        with installed(request.param):
            yield request.param
        return
    with installed(request.param), provided(request.param), unbounded(request.param):
        yield request.param


@pytest.fixture
def row(resource: Resource, alice: User) -> OwnedModel:
    return make(resource, alice, **example(resource))


@pytest.fixture
def rows(resource: Resource) -> str:
    """The address of its list in the admin."""
    return f"/admin/{resource.model._meta.app_label}/{resource.model._meta.model_name}/"


@pytest.fixture
def staff(carol: User) -> Client:
    """In the admin."""
    return signed_in(carol)


@pytest.fixture
def unchanged(resource: Resource, row: OwnedModel, as_alice: Api) -> Iterator[None]:
    """Around a refusal of what alice sends: every row is afterwards as it was before."""
    IdempotencyKey.objects.create(status=200, user=row.user, created_at=row.created_at, expires_at=row.created_at)
    before = stored()
    assert resource.model.objects.count() == 1, "nothing is there that could have changed"
    yield
    assert stored() == before
