"""Streams of the service as `make run` starts it, with two workers: wake-ups, bounds, endings, and what they cost."""

import asyncio
import os
import signal
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import httpx
import jwt
import psutil
import pytest

from config.server.streams import OF_KEY
from tests.config.test_workers import two_workers
from tests.server import Server
from tests.streaming import Account, EventStream, make_account, opened, opened_many

pytestmark = pytest.mark.process

STREAMS, ACCOUNTS = 1000, 100
CHANGES = 10_000
KIB = 1024


@pytest.fixture(scope="module")
def serving() -> Iterator[Server]:
    with two_workers(NETWORK_REQUESTS="4096", THREADS="4") as server:
        yield server


@pytest.fixture(scope="module")
def accounts(serving: Server) -> list[Account]:
    """Enough for many streams."""
    return [make_account(serving) for _ in range(ACCOUNTS)]


def figures(of: str, found: dict[str, float]) -> None:
    """Shown with `pytest -s`."""
    sys.stdout.write(f"\n{of}: {', '.join(f'{name} {value:.1f}' for name, value in found.items())}\n")


def run(scene: Callable[[], Awaitable[None]], seconds: float = 120) -> None:
    async def play() -> None:
        async with asyncio.timeout(seconds):
            await scene()

    asyncio.run(play())


def test_a_stream_tells_the_head_at_once_and_each_change(serving: Server) -> None:
    account = make_account(serving)

    async def scene() -> None:
        async with opened(serving, account.token) as stream:
            cursors = [await stream.head()]
            for _ in range(3):
                await asyncio.to_thread(account.add)
                cursors.append(await stream.head(2))
            assert len(set(cursors)) == 4
            assert 1000 <= stream.retry <= 3000
            assert stream.headers["content-type"] == "text/event-stream"
            assert (stream.headers["cache-control"], stream.headers["x-accel-buffering"]) == ("no-store", "no")

    run(scene)


def test_who_knows_the_head_is_told_nothing_until_it_moves(serving: Server) -> None:
    account = make_account(serving)

    async def scene() -> None:
        async with opened(serving, account.token) as stream:
            known = await stream.head()
        async with opened(serving, account.token, f"?since={known}") as stream:
            with pytest.raises(TimeoutError):
                await stream.head(0.6)
        await asyncio.to_thread(account.add)
        # The id of the last event goes before the parameter, which EventSource repeats.
        async with opened(serving, account.token, f"?since={known}", Last_Event_ID=known) as stream:
            newer = await stream.head(2)
        assert newer != known
        async with opened(serving, account.token, f"?since={known}", Last_Event_ID=newer) as stream:
            with pytest.raises(TimeoutError):
                await stream.head(0.6)

    run(scene)


def test_changes_wake_streams_of_both_workers_in_time(serving: Server) -> None:
    """Ten streams, which the kernel spreads over the workers; so are the connections that write."""
    account = make_account(serving)

    async def scene() -> None:
        delays: list[float] = []
        first: list[float] = []
        async with opened_many(serving, [account.token] * OF_KEY) as streams:
            for _ in range(60):
                await asyncio.to_thread(account.add)
                answered = time.monotonic()

                async def told(stream: EventStream, since: float = answered) -> float:
                    await stream.head(5)
                    return time.monotonic() - since

                found = await asyncio.gather(*map(told, streams))
                delays += found
                first.append(min(found))
                await asyncio.sleep(0.005)
        median, p95 = statistics.median(delays), statistics.quantiles(delays, n=20)[-1]
        shown = {"first": statistics.median(first), "median": median, "p95": p95, "most": max(delays)}
        figures("wake-up after the answer, ms", {name: seconds * 1000 for name, seconds in shown.items()})
        assert statistics.median(first) < 0.1
        assert p95 <= 0.3

    run(scene)


def test_none_of_many_changes_is_missed(serving: Server) -> None:
    """Who reads the head after each event ends at the last one; while eight connections write, streams come and go."""
    account = make_account(serving)

    def write(number: int) -> int:
        with httpx.Client(base_url=serving.base, headers=account.api.headers, timeout=30) as api:
            made = 0
            for _ in range(number):
                made = api.post("/api/me/tasks", json={"title": "a"}).json()["version"]
            return made

    async def consume(last: asyncio.Future[int]) -> int:
        """Follow until the head of the last write is seen, over streams that break off now and then."""
        seen, known, events = 0, "", 0
        async with httpx.AsyncClient(base_url=serving.base, headers=account.api.headers, timeout=30) as api:
            while not last.done() or seen < last.result():
                headers = {"Last_Event_ID": known} if known else {}
                async with opened(serving, account.token, **headers) as stream:
                    for _ in range(200):
                        if last.done() and seen >= last.result():
                            break
                        known = await stream.head(5)
                        answer = await api.get("/api/me/tasks?limit=1")
                        seen = max(seen, int(answer.headers["ETag"].strip('"')))
                        events += 1
        return events

    async def scene() -> None:
        last: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        consumers = [asyncio.create_task(consume(last)) for _ in range(4)]
        with ThreadPoolExecutor(2) as pool:
            writing = [asyncio.wrap_future(pool.submit(write, CHANGES // 2)) for _ in range(2)]
            last.set_result(max(await asyncio.gather(*writing)))
        assert min(await asyncio.gather(*consumers)) > 1

    run(scene, 400)


# --- Bounds and endings -----------------------------------------------------------------------------


def test_a_user_has_ten_streams_in_both_workers_together(serving: Server) -> None:
    account, other = make_account(serving), make_account(serving)

    async def scene() -> None:
        async with opened_many(serving, [account.token] * OF_KEY) as streams:
            for _ in range(4):  # whichever worker takes them
                async with opened(serving, account.token) as refused:
                    assert (refused.status, refused.headers["retry-after"]) == (429, "2")
                    assert (await refused.problem())["code"] == "too_many_at_once"
            async with opened(serving, other.token) as stream:
                assert stream.status == 200
            streams[0].writer.transport.abort()
            while True:
                async with opened(serving, account.token) as stream:
                    if stream.status == 200:
                        return

    run(scene, 20)


def test_an_ended_session_and_a_deactivated_account_end_their_streams(serving: Server) -> None:
    account = make_account(serving)
    email = account.api.get("/api/users/me").json()["email"]
    login = {"email": email, "password": "correct horse battery"}
    other = account.api.post("/api/auth/login", json=login, headers={"Authorization": ""}).json()

    async def scene() -> None:
        async with opened(serving, account.token) as kept, opened(serving, other["access"]) as ended:
            await asyncio.gather(kept.head(), ended.head())
            await asyncio.to_thread(httpx.post, f"{serving.base}/api/auth/logout", json={"refresh": other["refresh"]})
            event = await ended.next(30)
            assert event is not None and event.name == "expired"
            assert await ended.next() is None
            await asyncio.to_thread(account.add)
            await kept.head(2)

    run(scene)


def test_a_stream_ends_when_its_token_does_and_not_before(serving: Server) -> None:
    """A token is accepted for half a minute after its end, as clocks differ: for two seconds more, here."""
    account = make_account(serving)
    header, claims = (
        jwt.get_unverified_header(account.token),
        jwt.decode(account.token, options={"verify_signature": False}),
    )
    [key] = [path.read_text().strip() for path in serving.data_dir.glob("*jwt*.secret")]
    over_at = int(time.time()) + 3
    token = jwt.encode({**claims, "exp": over_at - 30}, key, headers={"kid": header["kid"]})

    async def scene() -> None:
        async with opened(serving, token) as stream:
            await stream.head()
            event = await stream.next()
            assert event is not None and (event.name, event.data) == ("expired", {})
            assert await stream.next() is None
            assert over_at <= time.time() < over_at + 2
        async with opened(serving, token) as refused:
            assert refused.status == 401

    run(scene)


def test_a_ticket_opens_one_stream_in_whichever_worker(serving: Server) -> None:
    account = make_account(serving)
    ticket = account.api.post("/api/me/stream/tickets").json()["ticket"]

    async def scene() -> None:
        async with AsyncExitStack() as held:
            opening = [held.enter_async_context(opened(serving, query=f"?ticket={ticket}")) for _ in range(8)]
            streams = await asyncio.gather(*opening)
            assert sorted(stream.status for stream in streams) == [200, *[401] * 7]
            [stream] = [each for each in streams if each.status == 200]
            await stream.head()
            await asyncio.to_thread(account.add)
            await stream.head(2)

    run(scene)
    assert ticket not in serving.log.read_text()


def unread(server: Server, account: Account) -> socket.socket:
    """A stream that has begun, and of which nothing more is read, on a connection that takes about twenty events."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    deaf.connect(("127.0.0.1", server.port))
    head = f"GET /api/me/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {account.token}\r\n\r\n"
    deaf.sendall(head.encode())
    assert deaf.recv(12) == b"HTTP/1.1 200"
    return deaf


def test_a_client_that_does_not_read_keeps_nobody_waiting(serving: Server) -> None:
    account, reader = make_account(serving), make_account(serving)

    async def scene() -> None:
        with unread(serving, account):
            async with opened(serving, reader.token) as stream:
                await stream.head()
                for _ in range(50):
                    await asyncio.to_thread(account.add)
                await asyncio.to_thread(reader.add)
                await stream.head(2)

    run(scene)


def test_a_client_that_takes_nothing_for_so_long_is_dropped_and_no_other() -> None:
    """Its place is free again, while those who read keep theirs."""

    async def scene() -> None:
        with two_workers(DJANGO_SETTINGS_MODULE="tests.hasty") as server:
            account = make_account(server)

            async def is_full() -> bool:
                async with opened(server, account.token) as stream:
                    return stream.status == 429

            async with opened_many(server, [account.token] * (OF_KEY - 1)) as streams:

                async def write() -> None:
                    await asyncio.to_thread(account.add)
                    await asyncio.gather(*(stream.head(5) for stream in streams))

                with unread(server, account):
                    assert await is_full()
                    began = time.monotonic()
                    while await is_full():
                        await write()
                    assert 1 < time.monotonic() - began < 10
                    await write()

    run(scene, 40)


def test_streams_outlive_an_outage_of_postgresql() -> None:
    async def scene() -> None:
        with two_workers() as server:
            account = make_account(server)
            async with opened_many(server, [account.token] * 4) as streams:
                postmaster = int((server.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
                os.kill(postmaster, signal.SIGKILL)
                with pytest.raises(TimeoutError):
                    await streams[0].next(1)
                async with asyncio.timeout(30):
                    while await asyncio.to_thread(account.try_to_add) != 201:
                        await asyncio.sleep(0.05)
                assert len({await stream.head(5) for stream in streams}) == 1

    run(scene)


def test_streams_do_not_hold_up_the_end() -> None:
    """It takes as long with streams as without."""

    async def scene() -> None:
        with two_workers() as server:
            account = make_account(server)
            async with opened_many(server, [account.token] * OF_KEY) as streams:
                running = server.workers()
                began = time.monotonic()
                for worker in running:
                    worker.terminate()
                assert [await stream.next(5) for stream in streams] == [None] * OF_KEY
                _, alive = await asyncio.to_thread(psutil.wait_procs, running, 5)
                assert alive == [] and time.monotonic() - began < 5

    run(scene)


# --- Cost -------------------------------------------------------------------------------------------


def test_a_thousand_streams_take_little_memory_and_no_time(serving: Server, accounts: list[Account]) -> None:
    tokens = [account.token for account in accounts for _ in range(STREAMS // ACCOUNTS)]
    workers = serving.workers()

    def memory() -> int:
        return sum(int(worker.memory_full_info().uss) for worker in workers)

    def cpu() -> float:
        return sum(sum(worker.cpu_times()[:2]) for worker in workers)

    async def scene() -> None:
        async with opened_many(serving, tokens[:50]):  # what the first ones make stays
            pass
        before = memory()
        async with opened_many(serving, tokens):
            each = (memory() - before) / STREAMS / KIB
            used, began = cpu(), time.monotonic()
            await asyncio.sleep(10)
            idle = (cpu() - used) / (time.monotonic() - began) * 100
            times = []
            for _ in range(50):
                began = time.monotonic()
                assert (await asyncio.to_thread(accounts[0].api.get, "/api/me/tasks")).status_code == 200
                times.append(time.monotonic() - began)
        shown = {"KiB each": each, "% CPU when idle": idle, "ms of a GET beside them": statistics.median(times) * 1000}
        figures(f"{STREAMS} streams", shown)
        assert each <= 50
        assert idle <= 10

    run(scene)
