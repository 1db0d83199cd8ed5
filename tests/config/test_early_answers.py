"""Large answers that are sent while they are made: the bridge hands on what is there, and says when it breaks off."""

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator
from tempfile import TemporaryFile
from typing import IO

import pytest
from asgiref.typing import ASGISendEvent

from config.server import responses, streams
from config.server.bridge import Bridge
from config.server.responses import IN_MEMORY
from tests.config.test_bridge import Client, Stream, make_bridge, scope, streaming

PART = b"a" * (IN_MEMORY + 1)
HEAVY = scope(path=b"/heavy")


class Early(Stream):
    starts_early = True


class Watching(Client):
    """Sets an event when the first part of a body has arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.has_seen = threading.Event()

    async def send(self, event: ASGISendEvent) -> None:
        await super().send(event)
        if len(self.got) == 2:
            self.has_seen.set()


def answered(parts: Iterable[bytes], client: Client, **changes: str) -> Early:
    stream = Early(parts)
    client.exchange(streaming(stream), {**HEAVY, **changes})  # type: ignore[typeddict-item]
    assert stream.is_closed
    return stream


def test_the_client_reads_the_beginning_while_the_rest_is_made() -> None:
    client = Watching()

    def parts() -> Iterator[bytes]:
        yield PART
        assert client.has_seen.wait(5)
        yield from [PART, b"end"]

    answered(parts(), client)
    assert client.body == PART * 2 + b"end"
    assert (client.status, client.headers, client.got[-1]["more_body"]) == (200, [], False)


@pytest.mark.parametrize("parts", [[], [b"a", b"b"], [PART[:-1]]], ids=["nothing", "little", "just fits"])
def test_a_small_one_is_made_first_and_has_a_length(parts: list[bytes]) -> None:
    client = Client()
    answered(parts, client)
    assert client.body == b"".join(parts)
    assert client.headers == [("content-length", str(len(client.body)))]


def test_for_a_client_that_knows_no_chunks_it_is_made_first() -> None:
    client = Client()
    answered([PART, PART], client, http_version="1.0")
    assert client.headers == [("content-length", str(2 * len(PART)))]


def test_what_fails_after_the_beginning_is_logged_and_has_no_end(caplog: pytest.LogCaptureFixture) -> None:
    client = Client()

    def parts() -> Iterator[bytes]:
        yield PART
        raise RuntimeError("broken")

    with caplog.at_level(logging.ERROR):
        answered(parts(), client)
    assert client.body == PART
    assert all(event["more_body"] for event in client.got[1:])
    assert [record.message for record in caplog.records] == ["an answer broke off"]


def test_what_fails_before_it_is_a_whole_refusal() -> None:
    def parts() -> Iterator[bytes]:
        yield PART[:100]
        raise RuntimeError("broken")

    client = Client()
    stream = Early(parts())

    def application(environ: "dict[str, object]", start_response: object) -> Iterable[bytes]:
        if any(name.endswith("refusal") for name in environ):
            start_response("500 x", [])  # type: ignore[operator]
            return [b"refused"]
        return streaming(stream)(environ, start_response)  # type: ignore[arg-type]

    client.exchange(application, HEAVY)
    assert (client.status, client.body) == (500, b"refused")


def test_for_a_client_that_has_stopped_nothing_more_is_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streams, "SEND_SECONDS", 0.05)
    made: list[int] = []

    class Stopped(Client):
        async def send(self, event: ASGISendEvent) -> None:
            await super().send(event)
            if len(self.got) == 3:
                await asyncio.Event().wait()

    def parts() -> Iterator[bytes]:
        for number in range(1_000_000):  # far more than there is time for
            made.append(number)
            yield PART

    with caplog.at_level(logging.ERROR):
        answered(parts(), Stopped())
    assert len(made) < 1_000_000
    assert caplog.records == []


def test_nothing_is_left_of_it() -> None:
    """Neither a file nor room, nor a thread: the next request of the only thread is answered."""

    async def main(bridge: Bridge) -> None:
        async with asyncio.timeout(10):
            for _ in range(3):
                client = Client()
                await bridge(HEAVY, client.receive, client.send)
                assert len(client.body) == 10 * len(PART)
        assert not bridge._buffers.bytes and not bridge._buffers.files

    opened: list[IO[bytes]] = []

    def temporary(buffering: int) -> IO[bytes]:
        opened.append(TemporaryFile(buffering=buffering))  # noqa: SIM115 (as the bridge does)
        return opened[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(responses, "TemporaryFile", temporary)
        asyncio.run(main(make_bridge(lambda *request: streaming(Early([PART] * 10))(*request))))
    assert [file.closed for file in opened] == [True] * 3
