"""`python -m tests.benchmarks.limits.bare`: answers of the usual size behind Tickbase's HTTP server, and no work."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import django
from django.conf import settings

from config.server import launcher
from config.server.bridge import Bridge, Lane

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ONE = (
    b'{"id":1,"uid":"019ac5a2-7d8e-7c31-9a55-3f1f0f6b2c1d","user_id":"1","title":"Task 1 of user 1: buy milk and call",'
    b'"description":"A description of ordinary length, some words for the task number 1, with \\"quotes\\" and a dash'
    b' - end.","status":"pending","completed":false,"priority":"medium","tags":[],"due_date":null,"due_at":null,'
    b'"completed_at":null,"created_at":"2026-11-23T03:00:00.000000Z","updated_at":"2026-11-23T03:00:00.000000Z",'
    b'"version":1}'
)
LIST = b"[" + b",".join([ONE] * 50) + b"]"


def application() -> Bridge:
    return Bridge(
        _answer,
        threads=settings.THREADS,
        max_body=0,
        lane_of=lambda method, path, query: Lane.COMMON,
        networks_of=lambda environ: {"": 4096},
        caller_of=lambda environ, network: None,
        refuser=_answer,
        refusal_key="unused",
    )


def _answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    body = LIST if environ["PATH_INFO"].endswith("tasks") else ONE
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def main() -> None:
    django.setup()
    launcher.make_server(f"{__spec__.name}:application").serve()


if __name__ == "__main__":
    main()
