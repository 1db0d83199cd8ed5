"""The sample tasks of many languages: stored, read, found, filtered and paged as they were written."""

import datetime as dt
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tasks.models import Task
from tests.client import Api, next_page
from users.models import User

LIST = "/api/me/tasks"
SAMPLES: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "samples.json").read_text("utf-8"))


@pytest.fixture
def created(as_alice: Api) -> list[dict[str, Any]]:
    """The answers to creating each sample."""
    answers = [as_alice.post(LIST, sample) for sample in SAMPLES]
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json() for answer in answers]


def normalised(sample: dict[str, Any]) -> dict[str, Any]:
    """What reading a sample answers, for a user in UTC."""
    due_date, due_at = sample.get("due_date"), None
    if "due_at" in sample:
        instant = dt.datetime.fromisoformat(sample["due_at"]).astimezone(dt.UTC)
        due_date, due_at = f"{instant:%Y-%m-%d}", f"{instant:%Y-%m-%dT%H:%M:%SZ}"
    return {**sample, "due_date": due_date, "due_at": due_at}


def found(api: Api, query: str) -> set[int]:
    answer = api.get(f"{LIST}?limit=200&{query}")
    assert answer.status_code == 200, answer.content
    return {task["id"] for task in answer.json()}


def test_samples_read_back_as_they_were_written(as_alice: Api, created: list[dict[str, Any]]) -> None:
    listed = as_alice.get(f"{LIST}?sort=created").json()
    assert listed == created
    for sample, task in zip(SAMPLES, listed, strict=True):
        assert {name: task[name] for name in normalised(sample)} == normalised(sample)
        assert as_alice.get(f"{LIST}/{task['id']}").json() == task


def test_samples_are_stored_as_they_were_written(created: list[dict[str, Any]], alice: User) -> None:
    stored = Task.objects.for_user(alice).order_by("id").values_list("title", "description", "tags")
    assert list(stored) == [(sample["title"], sample["description"], sample["tags"]) for sample in SAMPLES]


def test_every_word_of_a_title_finds_its_task(as_alice: Api, created: list[dict[str, Any]]) -> None:
    for task in created:
        for word in task["title"].split():
            assert task["id"] in found(as_alice, f"search={quote(word, safe='')}"), word


def test_the_middle_of_the_longest_word_finds_its_task(as_alice: Api, created: list[dict[str, Any]]) -> None:
    for task in created:
        longest = max(task["title"].split(), key=len)
        third = len(longest) // 3
        middle = longest[third : len(longest) - third]
        assert task["id"] in found(as_alice, f"search={quote(middle, safe='')}"), (longest, middle)


def test_a_whole_title_finds_only_its_task(as_alice: Api, created: list[dict[str, Any]]) -> None:
    for task in created:
        if len(task["title"]) in range(2, 100):
            assert found(as_alice, f"search={quote(task['title'].upper(), safe='')}") == {task["id"]}


def test_every_tag_lists_exactly_its_tasks(as_alice: Api, created: list[dict[str, Any]]) -> None:
    for tag in {tag for sample in SAMPLES for tag in sample["tags"]}:
        expected = {task["id"] for task in created if tag in task["tags"]}
        assert found(as_alice, urlencode({"tag": tag})) == expected, tag


@pytest.mark.parametrize("priority", ["low", "medium", "high"])
@pytest.mark.parametrize("completed", [True, False])
def test_samples_are_filtered(as_alice: Api, created: list[dict[str, Any]], priority: str, completed: bool) -> None:
    expected = {task["id"] for task in created if (task["priority"], task["completed"]) == (priority, completed)}
    assert found(as_alice, f"priority={priority}&completed={str(completed).lower()}") == expected != set()


@pytest.mark.parametrize("sort", ["title", "-title", "due_date", "-due_date", "priority"])
def test_samples_are_paged(as_alice: Api, created: list[dict[str, Any]], sort: str) -> None:
    whole = as_alice.get(f"{LIST}?sort={sort}").json()
    paged, url = [], f"{LIST}?sort={sort}&limit=5"
    while url:
        answer = as_alice.get(url)
        paged += answer.json()
        url = next_page(answer) or ""
    assert paged == whole
    assert {task["id"] for task in paged} == {task["id"] for task in created}
