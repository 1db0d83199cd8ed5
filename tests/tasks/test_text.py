"""Folding: which spellings are one text to people, and which are not."""

import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from config.values import stream_safe
from tasks.models import MAX_DESCRIPTION, MAX_TAG, MAX_TAGS
from tasks.text import _FOLDINGS, _folded, _kept, fold, tag_key, words
from tests.batches import fullest
from tests.client import Api

ALIKE = [
    ("Café", "cafe"),
    ("STRASSE", "Straße"),
    ("İstanbul", "istanbul"),
    ("ısı", "ISI"),
    ("Łukasz Đorđe Øystein", "lukasz dorde oystein"),
    ("Nguyễn", "nguyen"),
    ("ΌΔΟΣ", "οδός"),
    ("съешь ещё", "Съешь еще"),
    ("\uff21\uff22\uff23\uff11", "abc1"),  # full width
    ("\uff76\uff9e\uff72\uff84\uff9e", "ガイド"),  # half width, its voicing marks apart
    (unicodedata.normalize("NFD", "한글"), "한글"),
    ("مُحَمَّد", "محمد"),
    ("كـــتاب", "کتاب"),  # stretched, and typed on an Arabic and on a Persian keyboard
    ("علي", "علی"),
    ("שָׁלוֹם", "שלום"),
    ("צה״ל", 'צה"ל'),
    ("葛\U000e0100城", "葛城"),  # an ideographic variation
    ("✈\ufe0f", "✈"),
    ("👩\u200d👧", "👩👧"),
    ("co\u00adoperate", "cooperate"),
    ("п’ятниці", "п'ятниці"),
    ("“a” «b» „c‟ ‹d›", '"a" "b" "c" \'d\''),
    ("6–8 — 5−1 ‒ ―", "6-8 - 5-1 - -"),
    ("ﬁve…", "five..."),
    *((digits, "27") for digits in ["۲۷", "٢٧", "२७", "২৭", "๒๗", "２７", "𝟐𝟕", "༢༧"]),
    ("۲٫۵ ٪", "2.5 %"),
    ("مدرسة", "مدرسه"),
    ("أحمد إلى آخر ٱسم", "احمد الي اخر اسم"),
    ("ہفتہ", "هفته"),  # of Urdu's keyboard, and of Persia's
    ("مسؤول شئ", "مسوول شی"),
    ("می\u200cخواهم", "میخواهم"),
    ("a\u034fb\u3164c", "abc"),
    ("a\x1fb", "a b"),
]

DIFFERENT = [
    ("か", "が"),
    ("は", "ぱ"),
    ("ハ", "バ"),
    ("की", "कि"),
    ("क", "की"),
    ("क्या", "कया"),
    ("ज", "ज़"),
    ("แม่", "แม"),
    ("பால்", "பால"),
    ("o", "a"),
    ("👨", "👩"),
    ("a_b", "a b"),
    ("-", "_"),
    ("کھا", "کہا"),  # Urdu: eaten, said
    ("ی", "ے"),
    ("27", "28"),
]

ONE_TAG = [
    ("Work", "work"),
    ("caf\u00e9", "CAFE\u0301"),
    ("Straße", "STRASSE"),
    ("ΟΔΌΣ", "οδός"),
    ("\u1e9b\u0323", "\u017f\u0323\u0307"),
    ("가", "\u1100\u1161"),
    ("İ", "i\u0307"),
]
TWO_TAGS = [("café", "cafe"), ("a", "а"), ("1", "١"), ("２", "2"), ("home", "home.")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_spellings_of_one_text_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
@example("ŉ ß ǰ ΐ ﷺ İ Ⱥ ͅ")
def test_folding_is_stable_and_blind_to_case_and_composition(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert fold(text.upper()) == fold(text.lower()) == folded
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text)) == folded


@pytest.mark.parametrize(("one", "other"), ONE_TAG)
def test_spellings_of_one_tag_are_equal(one: str, other: str) -> None:
    assert tag_key(one) == tag_key(other) == tag_key(tag_key(one))


@pytest.mark.parametrize(("one", "other"), TWO_TAGS)
def test_tags_that_differ_in_more_than_case_stay_different(one: str, other: str) -> None:
    assert tag_key(one) != tag_key(other)


@given(st.text())
@example("ŉ ß ǰ ΐ ﷺ İ Ⱥ ͅ")
def test_a_tag_is_compared_without_case_and_composition(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert tag_key(decomposed) == tag_key(text) == tag_key(text.casefold()) == tag_key(tag_key(text))


MARKS = "\u0301\u0323\u094d\u093c\u0344\u0f73\u0f71\uff9e\u3099\U00010a0d\U0001d165\u0345\u034f\u200d"
stacked = st.text(st.sampled_from(f"a\u1e69\ufdfa{MARKS}"), max_size=300)


def longest_run(text: str) -> int:
    """Of marks, as characters or as what a character decomposes into."""
    runs = "".join("m" if unicodedata.combining(each) else " " for each in text).split()
    return max(map(len, runs), default=0)


@given(st.text() | stacked)
@example("a" + "\u0301\u0323" * 100)
@example("\u1e69" + "\u0344" * 100)
@example("a" + ("\u094d\u093c" * 15 + "\u200d") * 9)
@example("a" + "\U0001e94a" * 100)
def test_no_long_run_of_marks_is_ever_sorted(text: str) -> None:
    """Of which the sorting in `normalize` takes the square. One character may stand for two marks."""
    normalize, runs = unicodedata.normalize, [0]

    def measured(form: Any, text: str) -> str:
        normalized = normalize(form, text)
        runs.extend(map(longest_run, (text, normalize("NFKD", normalized))))
        return normalized

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unicodedata, "normalize", measured)
        folded, key = fold(text), tag_key(text)
    assert max(runs) <= 2 * 30 + 3
    assert (fold(folded), tag_key(key)) == (folded, key)


@pytest.mark.parametrize("mark", "\u0301\u0f73\U0001e94a")
def test_a_long_run_of_marks_is_broken_wherever_it_stands(mark: str) -> None:
    for before in range(31):
        text = "a" * before + 31 * mark + "a" * 40
        assert stream_safe(text) == "a" * before + 30 * mark + "\u034f" + mark + "a" * 40
        shorter = text.replace(31 * mark, 30 * mark)
        assert stream_safe(shorter) == shorter


def folded_as_a_whole(text: str) -> str:
    """Unicode's compatibility caseless match (section 3.13, D146), of what is kept."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFKC", "".join(map(_kept, decomposed)))


@given(st.text(max_size=60) | st.text(st.sampled_from(f"aA\u1e69\ufb03{MARKS}".replace("\u0345", "")), max_size=15))
@example("Ǆ ŉ ß ΐ ﬃ İ ㍿ ｶﾞ か\u0301\u3099 \u1100\u1161\u11a8 한\u11a8 ᾳ ͺ")
def test_to_fold_each_character_is_to_fold_the_text(text: str) -> None:
    assert fold(text) == folded_as_a_whole(text)


def test_each_character_is_folded_as_it_would_be_without_a_short_way() -> None:
    everywhere = [*range(0x30000), *range(0x30000, 0x110000, 97), *range(0xE0000, 0xE1010)]
    for character in map(chr, everywhere):
        assert character.translate(_FOLDINGS) == _folded(character), ascii(character)
    assert len(_FOLDINGS) < 0x22000


def test_a_text_of_ligatures_hardly_grows() -> None:
    """Without that, a mebibyte would become six, each character of which is composed and stored."""
    assert len(fold("\ufdfa" * 20_000)) == 26_000
    assert len(fold("\ufdfa" * 50)) == 107
    text = "قال النبي ﷺ: إنما الأعمال بالنيات. " * 250
    assert len(text) < len(fold(text)) < len(text) * 2 and fold(text).endswith(fold("بالنيات. "))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", []),
        (" \t\n\u3000", []),
        ("Milk  milk\u3000MÍLK eggs", ["milk", "eggs"]),
        ("100% \\ _", ["100%", "\\", "_"]),
    ],
)
def test_words_of_a_query_are_folded_and_each_occurs_once(query: str, expected: list[str]) -> None:
    assert words(query) == expected


# --- Of a whole request -----------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8), st.booleans())
@example("\ufdfa", False)
@example("\ufdfa", True)
@example("か\u3099", True)
@example("\u1e69\u0344", False)
@example("ж", False)
def test_the_text_of_the_largest_body_is_hardly_more_to_normalise(as_alice: Api, pattern: str, is_tags: bool) -> None:
    """Composing takes up to 0.2 microseconds a character: half a million are 100 ms."""
    normalize, normalised = unicodedata.normalize, 0

    def counted(form: Any, text: str) -> str:
        nonlocal normalised
        normalised += len(text)
        return normalize(form, text)

    filled = pattern * (MAX_DESCRIPTION // len(pattern))
    tags = [f"{number}{filled[: MAX_TAG - 2]}" for number in range(MAX_TAGS)]
    body = fullest({"tags": tags} if is_tags else {"description": filled})
    before = len(_FOLDINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unicodedata, "normalize", counted)
        answer: Any = as_alice.client.post("/api/me/batch", body, content_type="application/json")
    assert {each["status"] for each in answer.json()["results"]} == {201}
    assert normalised < 2**19
    assert len(_FOLDINGS) - before <= len({*pattern}) + 10
