"""What is sent to webhooks, verified with the unmodified library of Standard Webhooks for Node."""

import json
import subprocess
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from pytest_django import Settings

from config.operations import work
from tests.clients.npm import install
from tests.factories import make_task
from tests.receiver import LOOPBACK, Receiver, receiving
from users.models import User
from users.webhooks import services

pytestmark = pytest.mark.node


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOWED_NETWORKS = [ip_network(LOOPBACK)]
    with receiving() as found:
        yield found


def verified(cases: list[dict[str, Any]]) -> Any:
    done = subprocess.run(
        ["node", "verify.mjs"],
        cwd=install("webhooks"),
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_library_verifies_what_is_sent(alice: User, receiver: Receiver) -> None:
    row = services.create_webhook(alice, url=receiver.url)
    make_task(alice, title="Café 完成 🎉")
    old, new = row.secret, services.rotate_secret(alice, row.pk).secret
    work.drain("webhooks", "slow webhooks")
    (received,) = receiver.received
    headers, body = received.headers, received.body.decode()
    case = {"headers": headers, "body": body}
    late = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 600)}
    found = verified(
        [
            {**case, "secret": new},
            {**case, "secret": old},
            {**case, "secret": new, "body": body.replace("🎉", "!")},
            {**case, "secret": "whsec_" + "A" * 44},
            {**case, "secret": new, "headers": late},
        ]
    )
    assert found[:2] == [received.event] * 2
    assert found[2:] == ["No matching signature found"] * 2 + ["Message timestamp too old"]
