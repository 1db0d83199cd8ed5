"""Folding: which spellings are one text to people, and which are not."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.text import fold, words

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
]


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
