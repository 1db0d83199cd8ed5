"""Search: every word as a substring of title, description or tags, in any script."""

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest

from tasks import services, text
from tasks.models import Task
from tasks.text import fold
from tests.client import Api
from tests.factories import make_task
from users.models import User

FOUND = [
    ("完成季度报告并发给王经理", "报告"),
    ("完成季度报告并发给王经理", "经理 季度"),
    ("Café order: crème brûlée ×4", "cafe brulee"),
    ("Cafe\u0301", "café"),
    ("İstanbul'daki daireyi temizlet", "istanbul"),
    ("ISI sayacı; ılık su", "ısı ilik"),
    ("Call Zoë, Łukasz, Đorđe, Şule and Nguyễn", "dorde lukasz zoe sule nguyen"),
    ("Прочитать ещё раз", "прочитать еще"),
    ("Прочитать еще раз", "ЕЩЁ"),
    ("Прочитати «Кобзар» до п’ятниці", '"кобзар" п\'ятниці'),
    ("Ραντεβού με τον λογιστή", "ΡΑΝΤΕΒΟΥ λογιστη"),
    ("Straße fegen & Müll", "STRASSE mull &"),
    ("\uff34\uff2f\uff24\uff2f \uff11\uff10", "todo 10"),
    ("todo 10", "\uff34\uff2f\uff24\uff2f"),
    ("\uff76\uff9e\uff72\uff84\uff9e", "ガイド"),
    ("低脂肪。ポイントカードを忘れない", "ｶｰﾄﾞ"),
    ("세금 신고 서류 준비하기", "준비"),
    ("\u1109\u1166\u1100\u1173\u11b7", "세금"),
    ("مُحَمَّد يَكتُبُ", "محمد يكتب"),
    ("استئجار شاحنة للنقل", "شاحِنة"),
    ("שָׁלוֹם עֲלֵיכֶם", "שלום"),
    ("ซื้อของขวัญวันเกิดแม่", "วันเกิด"),
    ("दूध और सब्ज़ी लाना", "ब्ज़ी"),
    ("பால் வாங்க வேண்டும்", "ண்டும்"),
    ("100% wool socks_size 42", "0% s_s"),
    ("\\backslash\\", "h\\"),
    ("Review PR: “Add RLS policies”", '"add policies"'),
    ("Prêt pour l’été", "l'ete"),
    ("Takes 6–8 weeks — or 9", "6-8 -"),
    ("Book flights ✈\ufe0f now", "✈"),
    ("Book flights ✈ now", "✈\ufe0f"),
    ("family 👩\u200d👩\u200d👧\u200d👦", "👩\u200d👩\u200d👧\u200d👦"),
    ("family 👩\u200d👩\u200d👧\u200d👦", "👧"),
    ("O'Brien; DROP TABLE tasks;-- invoice", "'brien; --"),
    ("<script>alert('pack')</script>", "<script>"),
    ("C++ and c#", "c++ c#"),
    ("جلسه ۲۷ آذر", "27"),
    ("Room 27", "۲۷"),
    ("Room 27", "٢٧"),
    ("कमरा २७", "27"),
    ("৳ ২৭", "２７"),
    ("زيارة المدرسة", "المدرسه"),
    ("زياره المدرسه", "المدرسة"),
    ("أرسل إلى الآنسة", "ارسل الي الانسه"),
    ("ہفتہ وار رپورٹ", "هفته"),
    ("Price ۲٫۵", "2.5"),
]

NOT_FOUND = [
    ("かき", "が"),
    ("がき", "か"),
    ("ハハ", "パ"),
    ("कि", "की"),
    ("की", "कि"),
    ("कल", "काल"),
    ("แม่", "แม้"),
    ("100 wool", "100%"),
    ("socks size", "socks_size"),
    ("backslash", "\\"),
    ("buy milk", "milk eggs"),
    ("buy milk", "buymilk"),
    ("한글", "항"),
    ("کہا", "کھا"),
]


def found(user: User, query: str) -> set[int]:
    answer = Api(user).get(f"/api/me/tasks?search={quote(query, safe='')}")
    assert answer.status_code == 200, answer.content
    return {task["id"] for task in answer.json()}


@pytest.mark.parametrize(("title", "query"), FOUND)
def test_people_find_what_they_mean(alice: User, title: str, query: str) -> None:
    task = make_task(alice, title=title)
    make_task(alice, title="Nothing of the kind")
    assert found(alice, query) == {task.pk}


@pytest.mark.parametrize(("title", "query"), NOT_FOUND)
def test_other_words_are_no_match(alice: User, title: str, query: str) -> None:
    task = make_task(alice, title=title)
    assert found(alice, query) == set()
    assert found(alice, title) == {task.pk}


@pytest.mark.parametrize(
    "fields", [{"title": "A Zürich b"}, {"description": "x\r\nZÜRICH"}, {"tags": ["a", "zu\u0308rich"]}]
)
def test_title_description_and_each_tag_are_searched(alice: User, fields: dict[str, Any]) -> None:
    task = make_task(alice, **fields)
    assert found(alice, "urich") == {task.pk}


def test_words_may_lie_in_different_places(alice: User) -> None:
    task = make_task(alice, title="Call Ana", description="about Thursday", tags=["phone", "家"])
    make_task(alice, title="Call Ana")
    assert found(alice, "家 thursday phone ana") == {task.pk}


def test_a_word_does_not_reach_from_one_place_into_the_next(alice: User) -> None:
    make_task(alice, title="one", description="two", tags=["three", "four"])
    assert found(alice, "onetwo") == found(alice, "twothree") == found(alice, "threefour") == set()


@pytest.mark.parametrize("query", ["", "  ", "\u3000"])
def test_an_empty_search_finds_everything(alice: User, query: str) -> None:
    tasks = {make_task(alice).pk, make_task(alice).pk}
    assert found(alice, query) == tasks


def test_a_change_is_found_by_its_new_words_only(alice: User) -> None:
    task = make_task(alice, title="Old", tags=["stale"])
    services.update_task(alice, task.pk, {"title": "New", "tags": ["fresh"]})
    assert found(alice, "new fresh") == {task.pk}
    assert found(alice, "old") == found(alice, "stale") == set()


TEXTS = {"title": "Ünï", "description": "Äö", "tags": ["Ça", "Où"]}


@pytest.mark.parametrize(
    ("change", "folded"),
    [
        ({"status": "completed"}, []),
        ({"priority": "high", "due_date": dt.date(2026, 12, 1)}, []),
        ({"tags": ["Où", "Ça"]}, []),
        ({"title": "Néw"}, ["Néw"]),
        ({"description": "Néw", "title": "Ünï"}, ["Néw"]),
        ({"tags": ["Où", "Néw"]}, ["Néw"]),
    ],
)
def test_only_what_changes_is_folded_again(
    alice: User, monkeypatch: pytest.MonkeyPatch, change: Any, folded: list[str]
) -> None:
    task, seen = make_task(alice, **TEXTS), []

    def noting(word: str) -> str:
        seen.append(word)
        return fold(word)

    monkeypatch.setattr(text, "fold", noting)
    services.update_task(alice, task.pk, change)
    task.refresh_from_db()
    assert seen == folded
    assert task.search_text.split("\x1f") == [fold(each) for each in (task.title, task.description, *task.tags)]
    assert task.title_key == fold(task.title)


def test_a_text_may_contain_what_separates_the_folded_ones(alice: User) -> None:
    task = make_task(alice, title="a\x1fb", description="c\x1fd")
    services.update_task(alice, task.pk, {"tags": ["e"]})
    task.refresh_from_db()
    assert task.search_text == "a b\x1fc d\x1fe"
    assert found(alice, "a b d e") == {task.pk}


def test_what_an_older_version_has_folded_is_no_change(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Café ۲۷", tags=["b"])
    Task.objects.filter(pk=task.pk).update(search_text="cafe ۲۷\n\nb", tag_keys=[])
    assert as_alice.patch(f"/api/me/tasks/{task.pk}", {"title": "Café ۲۷"}).json()["version"] == 1
    as_alice.patch(f"/api/me/tasks/{task.pk}", {"priority": "low"})
    task.refresh_from_db()
    assert (task.version, task.search_text, task.tag_keys) == (2, "cafe 27\x1f\x1fb", ["b"])


def test_foreign_and_deleted_tasks_are_not_found(alice: User, bob: User) -> None:
    make_task(bob, title="needle")
    services.delete_task(alice, make_task(alice, title="needle").pk)
    assert found(alice, "needle") == set()


def test_the_longest_query_of_the_longest_words_is_answered(alice: User) -> None:
    task = make_task(alice, title="ﷺ" * 200)
    assert found(alice, "ﷺ" * 200) == {task.pk}
    assert found(alice, " ".join("abcdefghij" * 10)) == set()
