"""Text folding for search and sorting: no case, accents or look-alike spellings; pure."""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

from config.values import is_ignorable, nfc, stream_safe

# Whitespace to `str.split`, so that no word of a query contains it.
UNIT_SEPARATOR = "\x1f"

MAX_GROWTH = 6_000  # characters of a text that its folded form may have more

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

    Each character is replaced by its own folding. Composing then keeps scripts such as Hangul whole, however they were
    typed, and sorts the marks (NFKC). An iota subscript becomes a letter before that, so that a mark of another script
    beside it is not sorted past it. Some ligatures have 18 letters: a text with more of them than any language has
    is cut, where it has grown by half and 32 characters, or by `MAX_GROWTH`.
    """
    if text.isascii():
        return text.lower().replace(UNIT_SEPARATOR, " ")  # to which the rest amounts for ASCII
    folded = text.translate(_FOLDINGS)[: len(text) + min(len(text) // 2 + 32, MAX_GROWTH)]
    return unicodedata.normalize("NFKC", stream_safe(folded))


def fold_all(texts: Iterable[str], known: Mapping[str, str]) -> str:
    """The folded texts as one, in which each can be searched. What is `known` is not folded again."""
    return UNIT_SEPARATOR.join(known[text] if text in known else fold(text) for text in texts)


def words(text: str) -> list[str]:
    """The folded words of a query, each once."""
    return list(dict.fromkeys(fold(text).split()))


@lru_cache(maxsize=1024)
def tag_key(tag: str) -> str:
    """The key by which tags are equal: Unicode's canonical caseless match (section 3.13, D145)."""
    if tag.isascii():
        return tag.lower()
    decomposed = unicodedata.normalize("NFD", stream_safe(tag))
    return nfc(decomposed.casefold())


class _Foldings(dict[int, int | str]):
    """What a character is folded to, by code points; what has occurred is kept, in 11 MiB if all have.

    Compatibility decomposition makes equal what only looks different (NFKD), case folding drops case, and `_kept`
    drops accents.
    """

    def __missing__(self, code: int) -> int | str:
        # Of the planes above the first two, only compatibility ideographs, tags and variation selectors are folded;
        # the million others is not kept.
        if code >= 0x20000 and not (0x2F800 <= code < 0x2FA20 or 0xE0000 <= code < 0xE1000):
            return code
        self[code] = folded = code if _is_plain(chr(code)) else _folded(chr(code))
        return folded


_FOLDINGS = _Foldings()
# Other letters, symbols, private and unassigned characters: they have no case.
_CASELESS = frozenset({"Lo", "So", "Co", "Cn"})


def _is_plain(character: str) -> bool:
    """Whether it certainly stays as it is, as do most of the hundred thousand, told in a third of the time."""
    return (
        unicodedata.category(character) in _CASELESS
        and not unicodedata.decomposition(character)
        and character not in _LOOK_ALIKES
        and not is_ignorable(character)
    )


def _folded(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return unicodedata.normalize("NFKC", "".join(map(_kept, decomposed)))


def _kept(character: str) -> str:
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
