"""The guide's code for browsers runs in one, in pages of another origin than the service's."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.clients.npm import install
from tests.documents import blocks, steps
from tests.factories import PASSWORD
from tests.server import ROOT, Server

GUIDE = ROOT / "docs/guide/browsers.md"
SYNC = ROOT / "docs/guide/offline/tickbase-sync.js"
BASE, GRACE = "http://127.0.0.1:8000", "grace@example.com"
MODULE, APP, SIGN_UP, AGAIN = steps(GUIDE.read_text(), "js")
[FORM] = blocks(GUIDE.read_text(), "html")
[LISTEN] = steps((ROOT / "docs/guide/stream.md").read_text(), "js")
[UNDO] = steps((ROOT / "docs/guide/history.md").read_text(), "js")
[TYPED] = steps(GUIDE.read_text(), "ts")
COMPILE = "--strict --allowJs --checkJs --skipLibCheck --target es2022 --module esnext --moduleResolution bundler"
SPOIL = (
    "const tokens = JSON.parse(localStorage.tickbase); localStorage.tickbase = JSON.stringify({...tokens, access: 'x'})"
)
CREATE = """
const init = {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"title": "A secret"}'};
return app.authorizedFetch(app.BASE + '/api/me/tasks', init).then((made) => made.status, (error) => error.message);
"""
AWAITS_THE_LOCK = """async () => {
    while (!(await navigator.locks.query()).pending.length) await new Promise((again) => setTimeout(again, 10));
}"""

IMPORTS = {"imports": {"openapi-fetch": "/openapi-fetch.js"}}
PAGE = f'<!doctype html><title>An app</title><script type="importmap">{json.dumps(IMPORTS)}</script>'


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture(scope="module")
def folder(server: Server) -> Iterator[Path]:
    """The scripts of the page, of which the first is the module that the others import."""
    with TemporaryDirectory(prefix="tickbase-") as name:
        folder = Path(name)
        httpx.post(f"{server.base}/api/auth/register", json={"email": GRACE, "password": PASSWORD}).raise_for_status()
        scripts = {"tickbase": MODULE, "app": APP, "sign-up": SIGN_UP, "again": AGAIN, "undo": UNDO, "listen": LISTEN}
        for file, script in scripts.items():
            (folder / f"{file}.js").write_text(script.code.replace(BASE, server.base))
        shutil.copy(SYNC, folder)
        (folder / "index.html").write_text(PAGE)
        (folder / "sign-up.html").write_text(PAGE + FORM)
        yield folder


@pytest.fixture(scope="module")
def origin(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(folder))) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        yield f"http://localhost:{files.server_port}"
        files.shutdown()


@pytest.fixture
def context(chromium: Browser, origin: str) -> Iterator[BrowserContext]:
    context = chromium.new_context(base_url=origin)
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def open_tab(context: BrowserContext) -> Callable[[], Page]:
    def opened() -> Page:
        tab = context.new_page()
        tab.goto("/")
        return tab

    return opened


def printed(tab: Page, script: str) -> list[str]:
    lines: list[str] = []
    tab.on("console", lambda line: lines.append(line.text))
    tab.evaluate(f"import('/{script}')")
    return [line for line in lines if not line.startswith("Failed to load resource")]


def test_the_app_prints_what_the_page_shows(open_tab: Callable[[], Page]) -> None:
    assert printed(open_tab(), "app.js") == APP.shown.splitlines()
    assert printed(open_tab(), "again.js") == AGAIN.shown.splitlines()


def test_the_undo_button_prints_what_its_page_shows(open_tab: Callable[[], Page]) -> None:
    assert printed(open_tab(), "undo.js") == UNDO.shown.splitlines()


def test_the_sign_up_page_tells_what_is_wrong_and_signs_in_though_an_answer_gets_lost(context: BrowserContext) -> None:
    tab = context.new_page()
    tab.goto("/sign-up.html")
    fill_in(tab, GRACE, "short")
    expect(tab.locator("output").nth(1)).to_contain_text("at least 12 characters")
    fill_in(tab, GRACE, PASSWORD)
    expect(tab.locator("output").nth(0)).to_contain_text("An account with this e-mail address exists")
    expect(tab.locator("output").nth(1)).to_be_empty()
    lost = lose_first(tab, "POST")
    fill_in(tab, "signs-up@example.com", PASSWORD)
    expect(tab.locator("output").nth(2)).not_to_be_empty()
    tab.get_by_role("button").click()
    expect(tab.get_by_text("Welcome! A mail to signs-up@example.com has a link")).to_be_visible()
    assert (lost, read_tasks(tab)) == ([201], [])


def lose_first(tab: Page, method: str) -> list[int]:
    """The first request of this method is answered, but no answer arrives; its status, once there is one."""
    lost: list[int] = []

    def lose(route: Route) -> None:
        if route.request.method == method and not lost:
            lost.append(route.fetch().status)
            route.abort()
        else:
            route.continue_()

    tab.route("**/api/**", lose)
    return lost


def fill_in(tab: Page, email: str, password: str) -> None:
    tab.get_by_label("E-mail").fill(email)
    tab.get_by_label("Password").fill(password)
    tab.get_by_role("button").click()


LIVE = """
import { authorizedFetch, BASE, read } from "./tickbase.js";
import { listen } from "./listen.js";

window.shown = [];
window.heads = 0;
window.end = listen(async () => {
  window.heads += 1;
  const tasks = await read(await authorizedFetch(BASE + "/api/me/tasks"));
  window.shown = tasks.map((task) => task.title);
});
"""


def test_what_one_tab_writes_the_other_shows(open_tab: Callable[[], Page], folder: Path, server: Server) -> None:
    """By the example of the guide, also after its stream has broken off, with the ticket spent."""
    register(server, "shown@example.com")
    (folder / "live.js").write_text(LIVE)
    writing, showing = open_tab(), open_tab()
    sign_in(writing, "shown@example.com")
    showing.evaluate("import('/live.js')")
    showing.wait_for_function("window.heads === 1")
    assert showing.evaluate("window.shown") == []
    tickets: list[str] = []
    showing.on("request", lambda asked: tickets.append(asked.url) if "/tickets" in asked.url else None)
    titles: list[str] = []
    for title in ("one", "two"):
        titles.insert(0, title)
        body = json.dumps({"title": title})
        init = f"{{method: 'POST', headers: {{'Content-Type': 'application/json'}}, body: '{body}'}}"
        assert call(writing, f"return (await app.authorizedFetch(app.BASE + '/api/me/tasks', {init})).status") == 201
        showing.wait_for_function(f"JSON.stringify(window.shown) === '{json.dumps(titles, separators=(',', ':'))}'")
        if title == "one":
            [worker] = server.workers()
            worker.terminate()  # its streams end; another worker takes its place
            showing.wait_for_event("request", lambda asked: "stream?ticket" in asked.url)
            showing.wait_for_function("window.heads >= 3")
    assert len(tickets) >= 1
    showing.evaluate("window.end()")


@pytest.mark.node
def test_the_typed_client_compiles_and_prints_what_the_page_shows(
    open_tab: Callable[[], Page], folder: Path, server: Server
) -> None:
    project = install("typescript")
    sources = project / "generated" / "guide"  # below node_modules' own directory
    sources.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "tickbase.js", sources)
    (sources / "typed.ts").write_text(TYPED.code)
    installs, saves, generate = blocks(GUIDE.read_text(), "sh")[0].splitlines()
    known = json.loads((project / "package.json").read_text())
    assert {*installs.split()[2:]} <= known["dependencies"].keys()
    assert {*saves.split()[3:]} <= known["devDependencies"].keys()
    run(generate.replace(BASE, server.base), sources)
    run(f"npx tsc {COMPILE} --outDir {folder} typed.ts", sources)
    shutil.copy(project / "node_modules/openapi-fetch/dist/index.mjs", folder / "openapi-fetch.js")
    _, headers = register(server, "typed@example.com")
    httpx.post(f"{server.base}/api/me/tasks", json={"title": "Water the plants"}, headers=headers).raise_for_status()
    tab = open_tab()
    sign_in(tab, "typed@example.com")
    assert printed(tab, "typed.js") == TYPED.shown.splitlines()


def run(command: str, directory: Path) -> None:
    done = subprocess.run(command.split(), cwd=directory, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def call(tab: Page, script: str) -> Any:
    """What an asynchronous function with this body returns, `app` being the module of the page."""
    return tab.evaluate(in_app(script))


def begin(tab: Page, script: str) -> None:
    """The same, without waiting for it: its promise is `window.begun`."""
    tab.evaluate(f"() => {{ window.begun = {in_app(script)} }}")


def in_app(script: str) -> str:
    return f"import('/tickbase.js').then(async (app) => {{ {script} }})"


def register(server: Server, email: str) -> tuple[str, dict[str, str]]:
    """An account's id, and the headers of its requests."""
    answer = httpx.post(f"{server.base}/api/auth/register", json={"email": email, "password": PASSWORD}).json()
    return answer["user"]["id"], {"Authorization": f"Bearer {answer['access']}"}


def sign_in(tab: Page, email: str) -> None:
    call(tab, f"await app.signIn('{email}', '{PASSWORD}')")


def read_tasks(tab: Page, user_id: str = "me") -> Any:
    return call(tab, f"return app.read(await app.authorizedFetch(app.BASE + '/api/{user_id}/tasks'))")


def test_of_many_tabs_one_trades_the_refresh_token(
    open_tab: Callable[[], Page], context: BrowserContext, server: Server
) -> None:
    register(server, "tabs@example.com")
    tabs = [open_tab() for _ in range(3)]
    sign_in(tabs[0], "tabs@example.com")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    tabs[0].evaluate(SPOIL)
    ask = "Array.from({length: 4}, () => app.authorizedFetch(app.BASE + '/api/me/tasks'))"
    for tab in tabs:  # all begin before anybody waits
        begin(tab, f"return Promise.all({ask})")
    statuses = [tab.evaluate("window.begun.then((all) => all.map((each) => each.status))") for tab in tabs]
    assert statuses == [[200] * 4] * 3
    # Of the requests of a tab, one. Chromium may show a tab late what another one keeps, also one that had the lock
    # before: that tab sends the same refresh token, which brings the same pair.
    assert 1 <= asked.count(f"POST {server.base}/api/auth/refresh") <= len(tabs)
    assert [len(read_tasks(tab)) for tab in tabs] == [0, 0, 0]


@pytest.mark.parametrize(("late", "said"), [("auth/refresh", 201), ("me/tasks", "You are no longer signed in.")])
def test_who_signs_in_in_another_tab_gets_nothing_of_who_was_there(
    open_tab: Callable[[], Page], server: Server, late: str, said: int | str
) -> None:
    """While the token of that one has expired, and one of the requests takes long."""
    before, after = (f"{name}-{late.partition('/')[2]}@example.com" for name in ("before", "after"))
    register(server, before)
    register(server, after)
    slow, quick = open_tab(), open_tab()
    sign_in(slow, before)
    slow.evaluate(SPOIL)
    held: list[Route] = []
    slow.route(f"**/api/{late}", lambda route: held.append(route), times=1)
    with slow.expect_request(f"**/api/{late}"):
        begin(slow, CREATE)
    begin(quick, f"await app.signIn('{after}', '{PASSWORD}')")
    quick.evaluate(f"Promise.race([window.begun, ({AWAITS_THE_LOCK})()])")
    held[0].continue_()
    assert slow.evaluate("window.begun") == said
    quick.evaluate("window.begun")
    assert call(quick, "return app.read(await app.authorizedFetch(app.BASE + '/api/users/me'))")["email"] == after
    assert read_tasks(quick) == []


def test_who_is_signed_out_elsewhere_is_asked_to_sign_in_again(open_tab: Callable[[], Page], server: Server) -> None:
    _, headers = register(server, "ended@example.com")
    tab = open_tab()
    sign_in(tab, "ended@example.com")
    httpx.delete(f"{server.base}/api/users/me/sessions", headers=headers).raise_for_status()
    said = call(tab, "return app.authorizedFetch(app.BASE + '/api/me/tasks').catch((problem) => problem.code)")
    assert (said, tab.evaluate("localStorage.length")) == ("invalid_token", 0)


def test_signing_out_ends_the_session(open_tab: Callable[[], Page], server: Server) -> None:
    _, headers = register(server, "leaves@example.com")
    tab = open_tab()
    sign_in(tab, "leaves@example.com")
    call(tab, "await app.signOut()")
    assert len(httpx.get(f"{server.base}/api/users/me/sessions", headers=headers).json()) == 1
    assert tab.evaluate("localStorage.length") == 0


def test_two_people_who_share_a_browser_see_their_own_tasks(open_tab: Callable[[], Page], server: Server) -> None:
    """At the same version, each made elsewhere."""
    people = ["first@example.com", "second@example.com"]
    for email in people:
        _, headers = register(server, email)
        httpx.post(f"{server.base}/api/me/tasks", json={"title": email}, headers=headers).raise_for_status()
    tab = open_tab()
    for email in people:
        sign_in(tab, email)
        assert [task["title"] for task in read_tasks(tab)] == [email]
        call(tab, "await app.signOut()")


def test_the_browser_itself_asks_whether_its_copy_is_still_good(open_tab: Callable[[], Page], server: Server) -> None:
    user_id, headers = register(server, "cached@example.com")
    httpx.post(f"{server.base}/api/me/tasks", json={"title": "Kept"}, headers=headers).raise_for_status()
    tab = open_tab()
    sign_in(tab, "cached@example.com")
    for _ in range(2):
        assert [task["title"] for task in read_tasks(tab, user_id)] == ["Kept"]
    lines = [line for line in server.log.read_text().splitlines() if f" user={user_id} " in line and " GET " in line]
    assert [re.findall(r"tasks (\d+) ", line) for line in lines] == [["200"], ["304"]]


# --- A copy that works offline (tickbase-sync.js) ---------------------------------------------------


def test_it_is_short() -> None:
    assert len(SYNC.read_text().splitlines()) <= 150


def in_copy(tab: Page, name: str, script: str) -> Any:
    """What the script returns, with a copy of this name, which is a device; `refused` are its refused writes."""
    opened = """
        const { open } = await import('/tickbase-sync.js'), refused = [];
        const onRefused = (entry, problem) => refused.push(problem.code);
        const copy = await open({name: '%s', url: app.BASE + '/api/me', fetch: app.authorizedFetch, onRefused});
        const titles = async () => (await copy.all('task')).map(({title}) => title).sort();
        try { %s } finally { copy.close(); }
    """
    return call(tab, opened % (name, script))


@pytest.fixture
def device(open_tab: Callable[[], Page], server: Server, request: pytest.FixtureRequest) -> Page:
    email = f"{request.node.name[5:45]}@example.com"
    register(server, email)
    tab = open_tab()
    sign_in(tab, email)
    return tab


WRITE = "await copy.write('task', 'made-here', {title: 'Buy stamps'});"
SYNCED = "return [await copy.sync(), await titles(), refused];"


def test_a_copy_shows_what_was_written_offline_and_sends_it_later(device: Page) -> None:
    device.route("**/api/**", lambda route: route.abort())
    assert in_copy(device, "one", WRITE + SYNCED) == [False, ["Buy stamps"], []]
    device.unroute("**/api/**")
    assert in_copy(device, "one", SYNCED) == [True, ["Buy stamps"], []]
    assert in_copy(device, "other", SYNCED) == [True, ["Buy stamps"], []]
    assert [task["uid"] for task in read_tasks(device)] == ["made-here"]


def test_two_copies_of_a_user_become_equal(device: Page) -> None:
    in_copy(device, "one", WRITE + SYNCED)
    in_copy(device, "two", SYNCED)
    changed = (
        "await copy.write('task', 'made-here', {title: 'Changed'}); await copy.write('task', 'new', {title: 'New'});"
    )
    assert in_copy(device, "two", changed + SYNCED) == [True, ["Changed", "New"], []]
    assert in_copy(device, "one", SYNCED) == [True, ["Changed", "New"], []]
    assert in_copy(device, "one", "await copy.write('task', 'made-here');" + SYNCED) == [True, ["New"], []]
    assert in_copy(device, "two", SYNCED) == [True, ["New"], []]


def test_a_write_upon_what_another_device_has_changed_is_told_and_does_not_overwrite_it(device: Page) -> None:
    for name in ("one", "two"):
        in_copy(device, name, (WRITE if name == "one" else "") + SYNCED)
    theirs = "await copy.write('task', 'made-here', {title: 'Theirs'});"
    mine = "for (const title of ['Mine', 'Mine again']) await copy.write('task', 'made-here', {title});"
    in_copy(device, "one", theirs + SYNCED)
    assert in_copy(device, "two", mine + "return await titles();") == ["Mine again"]
    assert in_copy(device, "two", SYNCED) == [True, ["Theirs"], ["stale_version", "stale_version"]]
    assert [task["title"] for task in read_tasks(device)] == ["Theirs"]


def test_a_write_whose_answer_got_lost_takes_effect_once(device: Page) -> None:
    lost = lose_first(device, "PUT")
    assert in_copy(device, "one", WRITE + SYNCED) == [False, ["Buy stamps"], []]
    device.unroute("**/api/**")
    assert lost == [201]
    assert in_copy(device, "one", SYNCED) == [True, ["Buy stamps"], []]
    assert [task["version"] for task in read_tasks(device)] == [1]
