"""Text as people compare it: without case, accents and look-alike spellings; pure."""

import unicodedata

# Letters that Unicode does not decompose, letters and marks that keyboards write in two ways, and the
# Arabic stroke that only stretches a word.
_LOOK_ALIKES = str.maketrans(
    {
        "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ł": "l", "ø": "o", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th",
        "ك": "ک", "ي": "ی", "ى": "ی", "\N{ARABIC TATWEEL}": "",
        "‘": "'", "’": "'", "ʼ": "'", "‚": "'", "‛": "'", "‹": "'", "›": "'", "′": "'", "׳": "'",
        "“": '"', "”": '"', "„": '"', "‟": '"', "«": '"', "»": '"', "״": '"',
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "־": "-",
    }
)  # fmt: skip


def fold(text: str) -> str:
    """The form in which texts are searched and sorted.

    Compatibility decomposition makes equal what only looks different (NFKD), case folding drops case,
    `_is_noise` drops accents, and composing again (NFKC) keeps scripts such as Hangul whole.
    """
    if text.isascii():
        return text.lower()  # which is all that happens to it
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    kept = "".join(character for character in decomposed if not _is_noise(character))
    return unicodedata.normalize("NFKC", kept.translate(_LOOK_ALIKES))


def words(text: str) -> list[str]:
    """The folded words of a query, each once."""
    return list(dict.fromkeys(fold(text).split()))


def _is_noise(character: str) -> bool:
    """Accents, Hebrew and Arabic points, and characters without a look of their own.

    Told apart by canonical combining class: attached and free accents are 200 and above, the points of
    Hebrew and Arabic 10 to 35. Vowel signs, viramas and voicing marks of other scripts are letters in
    all but name (classes 0 to 9 and 84 to 132), and stay.
    """
    if character.isascii():
        return False
    combining = unicodedata.combining(character)
    if combining >= 200 or 10 <= combining <= 35:
        return True
    # Joiners, soft hyphens and direction marks; variation selectors, as in "✈️" and in Japanese names.
    category = unicodedata.category(character)
    return category == "Cf" or (category == "Mn" and "VARIATION SELECTOR" in unicodedata.name(character))
