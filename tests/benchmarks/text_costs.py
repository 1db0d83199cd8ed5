"""What does text cost that is slow to fold? `python -m tests.benchmarks.text_costs [--rounds 100]`

Accepted bodies of the slowest characters known, each alone and then many mixed by chance; then the largest batches,
with as many descriptions or tags as a body has room for, the fastest of five. Milliseconds of CPU of this process for
the whole request, in the process. PostgreSQL's are not in them.
"""

import argparse
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from tests.benchmarks.growth import print_table, set_up

SLOW = {
    "ASCII": "a",
    "Cyrillic": "ж",
    "Hindi": "दूध और सब्ज़ी ",
    "U+FDFA, 18 characters each": "\ufdfa",
    "accents of two classes": "\u0301\u0323",
    "upper accents, then lower ones": "\u0301" * 5_000 + "\u0323" * 5_000,
    "viramas and nuktas": "\u094d\u093c",
    "half-width voicing, accents": "\uff9e\u0301",
    "U+0344, two marks each": "\u0344\u0f71",
    "30 marks and a joiner": "\u094d\u093c" * 15 + "\u200d",
    "30 marks of the second plane and a letter": "\U0001e94a" * 30 + "a",
    "marks of two planes": "\U00010a0d\u094d",
    "a letter with 30 composing marks": "か" + "\u3099" * 30,
    "letters with a composing mark": "か\u3099",
    "ligatures of kana, with composing marks": "\u3314\u3099",
    "marks, then ligatures": "\u094d\u093c" * 20 + "\ufdfa" * 9_960,
    "a composing mark, then ideographs": "\u0928\u093c" + "".join(map(chr, range(0x4E00, 0x9FFF))),
    "Hangul": "한",
    "each another character": "".join(map(chr, range(0x4E00, 0x9FFF))),
    "each another beyond the BMP": "".join(map(chr, range(0x10000, 0x16000))),
    "each another word": " ".join(map(chr, range(0x4E00, 0x9FFF))),
    "nothing visible, then a letter": "\u200b",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="bodies mixed by chance")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tickbase-") as folder:
        set_up(Path(folder))
        measure(options.rounds)


def measure(rounds: int) -> None:
    from config.database.isolation import all_users

    with all_users():
        head = ["ms of CPU", "create", "PATCH of all text", "PATCH of the priority", "search for 200 characters"]
        print_table(head, [[name, *costs(pattern, pattern)] for name, pattern in SLOW.items()])
        dice = random.Random(7)
        mixed = [costs("".join(dice.sample(sorted(SLOW.values()), 3)), dice.choice("ab")) for _ in range(rounds)]
        worst = [max(column, key=float) for column in zip(*mixed, strict=True)]
        print_table(head, [[f"the worst of {rounds} mixed ones", *worst]])
        head = ["ms of CPU, a full batch", "descriptions", "tags"]
        print_table(head, [[name, *batch_costs(pattern)] for name, pattern in SLOW.items()])


def costs(pattern: str, title: str) -> list[str]:
    """Of one task: the same text fills every member."""
    from tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS, MAX_TITLE
    from tests.client import Api
    from tests.factories import make_user

    api = Api(make_user())
    api.get(api.tasks)  # makes the middleware
    body: dict[str, Any] = {
        "title": "a" + filled(title, MAX_TITLE - 1),
        "description": filled(pattern, MAX_DESCRIPTION),
        "tags": [str(number) + filled(pattern, MAX_TAG - 2) for number in range(MAX_TAGS)],
    }
    created, create = timed(lambda: api.post(api.tasks, body), 201)
    address = f"{api.tasks}/{created['id']}"
    other = {**body, "title": f"b{body['title'][1:]}", "description": f"b{body['description'][1:]}"}
    change = timed(lambda: api.patch(address, other), 200)[1]
    priority = timed(lambda: api.patch(address, {"priority": "high"}), 200)[1]
    search = timed(lambda: api.get(f"{api.tasks}?search={quote(filled(pattern, 200))}"), 200)[1]
    return [f"{cost:.1f}" for cost in (create, change, priority, search)]


def batch_costs(pattern: str) -> list[str]:
    """Of the largest batches of tasks with such descriptions, and with such tags."""
    from tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS
    from tests.batches import fullest
    from tests.client import Api
    from tests.factories import make_user

    api = Api(make_user())
    tags = [str(number) + filled(pattern, MAX_TAG - 2) for number in range(MAX_TAGS)]
    batches = [fullest({"description": filled(pattern, MAX_DESCRIPTION)}), fullest({"tags": tags})]
    return [f"{min(timed(partial(post, api, batch), 200)[1] for _ in range(5)):.1f}" for batch in batches]


def post(api: Any, body: bytes) -> Any:
    return api.client.post("/api/me/batch", body, content_type="application/json")


def filled(pattern: str, length: int) -> str:
    return (pattern * (length // len(pattern) + 1))[:length]


def timed(call: Callable[[], Any], status: int) -> tuple[Any, float]:
    began = time.process_time()
    answer = call()
    spent = (time.process_time() - began) * 1000
    assert answer.status_code == status, answer.content[:500]
    return answer.json(), spent


if __name__ == "__main__":
    main()
