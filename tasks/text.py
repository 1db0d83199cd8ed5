"""Text folding for search and sorting: no case, accents or look-alike spellings; pure."""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from config.values import is_ignorable, nfc, stream_safe

# Whitespace to `str.split`, so that no word of a query contains it.
UNIT_SEPARATOR = "\x1f"

# Letters that Unicode does not decompose, letters and marks that keyboards write in two ways (those of Arabic,
# Persian and Urdu have their own yeh, kaf and heh; teh marbuta is often written as heh), the signs within numbers,
# and the Arabic stroke that only stretches a word.
_LOOK_ALIKES = {
    "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "ø": "o", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th",
    "ك": "ک", "ي": "ی", "ى": "ی", "ٱ": "ا", "ة": "ه", "ۃ": "ه", "ہ": "ه", "ە": "ه", "\N{ARABIC TATWEEL}": "",
    "٪": "%", "٫": ".", "٬": ",",
    "‘": "'", "’": "'", "ʼ": "'", "‚": "'", "‛": "'", "‹": "'", "›": "'", "′": "'", "׳": "'",
    "“": '"', "”": '"', "„": '"', "‟": '"', "«": '"', "»": '"', "״": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "־": "-",
    UNIT_SEPARATOR: " ",
}  # fmt: skip


def fold(text: str) -> str:
    """The form in which texts are searched and sorted; without `UNIT_SEPARATOR`.

    Compatibility decomposition makes equal what only looks different (NFKD), case folding drops case,
    `_folded` drops accents, and composing again (NFKC) keeps scripts such as Hangul whole.
    """
    if text.isascii():
        return text.lower().replace(UNIT_SEPARATOR, " ")  # to which the rest amounts for ASCII
    folded = unicodedata.normalize("NFKD", stream_safe(text)).casefold()
    decomposed = unicodedata.normalize("NFKD", folded)
    kept = decomposed.translate(_Folding())
    return unicodedata.normalize("NFKC", stream_safe(kept))


def fold_all(texts: Iterable[str], known: Mapping[str, str]) -> str:
    """The folded texts as one, in which each can be searched. What is `known` is not folded again."""
    return UNIT_SEPARATOR.join(known[text] if text in known else fold(text) for text in texts)


def words(text: str) -> list[str]:
    """The folded words of a query, each once."""
    return list(dict.fromkeys(fold(text).split()))


def tag_key(tag: str) -> str:
    """The key by which tags are equal: Unicode's canonical caseless match (section 3.13, D145)."""
    if tag.isascii():
        return tag.lower()
    decomposed = unicodedata.normalize("NFD", stream_safe(tag))
    return nfc(decomposed.casefold())


class _Folding(dict[int, str]):
    """What characters are folded to, by code point, looked up at their first: of a long text many are the same."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _folded(chr(code))
        return folded


@lru_cache(maxsize=8192)
def _folded(character: str) -> str:
    """The substitute for a character of a decomposed text: nothing for accents, Hebrew and Arabic points, and
    invisible characters; ASCII for the decimal digits of all scripts.

    Marks are told apart by canonical combining class: attached and free accents are 200 and above, the points of
    Hebrew and Arabic 10 to 35. Vowel signs, viramas and voicing marks of other scripts are letters in
    all but name (classes 0 to 9 and 84 to 132), and stay.
    """
    combining = unicodedata.combining(character)
    if combining >= 200 or 10 <= combining <= 35:
        return ""
    # Joiners, soft hyphens and direction marks; variation selectors, as in "✈️" and in Japanese names.
    if unicodedata.category(character) == "Cf" or is_ignorable(character):
        return ""
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    return _LOOK_ALIKES.get(character, character)
