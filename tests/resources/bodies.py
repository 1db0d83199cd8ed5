"""What no resource takes as a body, and what no member of a declared type takes as a value."""

from typing import Any

from rest_framework import serializers

from config.http.fields import (
    BooleanField,
    ChoiceField,
    DateField,
    DecimalField,
    InstantField,
    IntegerField,
    ListField,
    TextField,
    UuidField,
)
from tasks.fields import ExtraField, PositionField, ReferenceField
from tasks.projects.serializers import ColorField
from tasks.serializers import RemindersField
from tasks.series_serializers import RecurrenceSerializer
from users.resources.resource import Resource

Values = dict[str, Any]


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else []


NOT_TEXT: Values = {"number": 1, "2^63": 2**63, "float": 1.5, "boolean": True, "array": ["a"], "object": {"a": "b"}}
UNSTORABLE: Values = {"NUL": "a\0b", "lone surrogate": "a\ud800b"}
NOT_A_DATE: Values = {
    "blank": " ",
    "word": "tomorrow",
    "year 1": "0001-01-01",
    "year 9999": "9999-12-31",
    "30 February": "2026-02-30",
    "Arabic digits": "٢٠٢٦-٠١-٠١",
    "line end": "2026-01-01\n",
    "compact": "20260101",
    "no offset": "2026-01-01T09:30:00",
    "year 1 with time": "0001-01-01T00:00:00Z",
    "year 9999 with time": "9999-12-31T23:59:59-23:59",
    "offset of a day": "2026-01-01T09:30:00+24:00",
    "second 61": "2026-01-01T09:30:61Z",
}
NOT_A_FLAG: Values = {"null": None, "text": "true", "zero": 0, "one": 1, "array": [True], "object": {}}
NOT_WHOLE: Values = {
    "text": "1", "2^63": 2**63, "10^400": 10**400, "fraction": 1.5, "boolean": True, "array": [1], "object": {},
}  # fmt: skip
NOT_DECIMAL: Values = {
    "number": 1, "fraction": 1.5, "boolean": True, "array": ["1"], "empty": "", "word": "one", "NaN": "NaN",
    "exponent": "1e2", "sign": "+1", "leading zero": "01", "Arabic digits": "٣", "no digit": ".5", "line end": "1\n",
}  # fmt: skip
NOT_AN_ID: Values = {
    "text": "1",
    "zero": 0,
    "negative": -1,
    "2^63": 2**63,
    "10^400": 10**400,
    "fraction": 1.0,
    "boolean": True,
    "array": [1],
    "object": {},
}
NOT_A_POSITION: Values = {
    "one character": "a",
    "no head": "00",
    "too short for its head": "b0",
    "trailing zero": "a00",
    "other digits": "a-",
    "the smallest": "A" + "0" * 26,
    "101 characters": "a0" + "1" * 99,
}
NOT_EXTRA: Values = {
    "text": "{}",
    "number": 1,
    "boolean": False,
    "array": [{}],
    "NUL": {"a": ["b\0"]},
    "NUL in a name": {"a\0": 1},
    "lone surrogate": {"a": "\ud800"},
    "lone surrogate in a name": {"a": {"\udfff": 1}},
    "2^60": {"a": 2**60},
    "2^53 + 1": {"a": [2**53 + 1]},
    "-2^60": {"a": -(2**60)},
    "1e308": {"a": 1e308},
    "1e-308": {"a": 1e-308},
    "5 levels": {"a": {"b": {"c": {"d": {}}}}},
    "5 levels of arrays": {"a": [[[[]]]]},
    "30 levels": {"a": nested(29)},
    "8,193 bytes": {"a": "x" * (8193 - len('{"a":""}'))},
    "8,193 bytes in UTF-8": {"a": "報" * 2731},
    "50,000 members": dict.fromkeys(map(str, range(50_000)), 0),
}
OWN: dict[type, Values] = {
    ReferenceField: NOT_AN_ID,
    PositionField: {**NOT_TEXT, **UNSTORABLE, "null": None, **NOT_A_POSITION},
    ColorField: {**NOT_TEXT, **UNSTORABLE, "word": "red", "three digits": "#123", "upper case": "#AABBCC"},
    ExtraField: NOT_EXTRA,
}
UNKNOWN_MEMBERS: dict[str, Values] = {
    "titel": {"unknown member": "x"},
    "": {"unknown member": "x"},
    "a/b~c": {"unknown member": "x"},
    "_state": {"unknown member": "x"},
    "user": {"unknown member": 1},
    "deleted_at": {"unknown member": None},
}
BODIES: Values = {
    "array": [],
    "array of objects": [{"title": "a"}],
    "text": "title",
    "number": 1,
    "boolean": True,
    "null": None,
}
NOT_JSON: dict[str, bytes] = {
    "nothing but space": b" ",
    "half": b'{"title": "a"',
    "two": b'{"title": "a"} {"title": "b"}',
    "single quotes": b"{'title': 'a'}",
    "comment": b'{"title": "a"} // x',
    "trailing comma": b'{"title": "a",}',
    "raw control character": b'{"title": "a\x00b"}',
    "form": b"title=a",
    "BOM": b'\xef\xbb\xbf{"title": "a"}',
    "UTF-16": '{"title": "a"}'.encode("utf-16"),
    "UTF-16 without BOM": '{"title": "a"}'.encode("utf-16-le"),
    "Latin-1": '{"title": "é"}'.encode("latin-1"),
    "encoded surrogate": b'{"title": "\xed\xa0\x80"}',
    "overlong encoding": b'{"title": "\xc0\x80"}',
    "NaN": b'{"title": "a", "version": NaN}',
    "Infinity": b'{"title": "a", "version": -Infinity}',
    "1e400": b'{"title": "a", "version": 1e400}',
    "5,000 digits": b'{"title": "a", "version": ' + b"9" * 5000 + b"}",
    "duplicate": b'{"title": "a", "title": "b"}',
    "duplicate, escaped": b'{"title": "a", "t\\u0069tle": "b"}',
    "duplicate below": b'{"title": "a", "version": [{"x": {"y": 1, "y": 1}}]}',
    "5,000 arrays": b'{"title": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "5,000 objects": b'{"title": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    "500,000 brackets": b"[" * 500_000,
}
MEDIA_TYPES: dict[str, str] = {
    "none": "",
    "text": "text/plain",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=x",
    "multipart without boundary": "multipart/form-data",
    "XML": "application/xml",
    "another JSON": "application/vnd.api+json",
    "Latin-1": "application/json; charset=latin1",
    "UTF-16": 'application/json; charset="utf-16"',
    "garbage": ";;;\x7f=/,",
    "unheard-of charset": "application/json; charset=\xff",
}


def pointer(*members: str | int) -> str:
    return "".join(f"/{str(member).replace('~', '~0').replace('/', '~1')}" for member in members)


REFUSED_RECURRENCES: dict[str, tuple[str, Any]] = {
    "text": ("", "FREQ=DAILY"),
    "array": ("", []),
    "no rule": ("/rule", {}),
    "a rule that is no text": ("/rule", {"rule": 1}),
    "unknown member": ("/until", {"rule": "FREQ=DAILY", "until": "2030-01-01"}),
    "unknown zone": ("/zone", {"rule": "FREQ=DAILY", "zone": "Mars/Phobos"}),
    "unknown start": ("/from", {"rule": "FREQ=DAILY", "from": "never"}),
}


REFUSED_REMINDERS: dict[str, tuple[str, Any]] = {
    "text": ("", "PT30M"),
    "number": ("", 30),
    "object": ("", {"minutes_before": 30}),
    "eleven": ("", [{"minutes_before": 30}] * 11),
    "element: text": ("/0", ["PT30M"]),
    "element: null": ("/0", [None]),
    "element: nothing said": ("/1", [{"minutes_before": 30}, {}]),
    "element: both said": ("/0", [{"minutes_before": 30, "at": "2026-12-01T09:00:00Z"}]),
    "element: unknown member": ("/0/via", [{"minutes_before": 30, "via": "mail"}]),
    "element: after the due": ("/0/minutes_before", [{"minutes_before": -1}]),
    "element: more than four weeks": ("/0/minutes_before", [{"minutes_before": 40_321}]),
    "element: a date": ("/0/at", [{"at": "2026-12-01"}]),
    "element: NUL": ("/0/uid", [{"minutes_before": 30, "uid": "a\0b"}]),
    "element: uid of another": ("/1/uid", [{"minutes_before": 30, "uid": "a"}, {"minutes_before": 5, "uid": "a"}]),
}


def refused_values(field: serializers.Field) -> dict[str, tuple[str, Any]]:
    """By name, the place within the value that is wrong, and the value."""
    if isinstance(field, RecurrenceSerializer):
        return REFUSED_RECURRENCES
    if isinstance(field, RemindersField):
        return REFUSED_REMINDERS
    if isinstance(field, ListField):
        return _refused_lists(field)
    if type(field) not in OWN and isinstance(field, IntegerField | DecimalField | UuidField):
        never: Values = {} if field.allow_null else {"null": None}
        return {name: ("", value) for name, value in {**_not_of(field), **never}.items()}
    return {name: ("", value) for name, value in _refused(field).items()}


def _refused(field: serializers.Field) -> Values:
    if type(field) in OWN:
        return OWN[type(field)]
    never: Values = {} if field.allow_null else {"null": None}
    match field:
        case TextField():
            if not field.allow_blank:
                never |= {"empty": "", "blank": " \n\t"}
            return {**NOT_TEXT, **UNSTORABLE, **never, "too long": "a" * (field.max_length + 1)}
        case ChoiceField():
            word = str(next(iter(field.choices)))
            wrong = {"empty": "", "unknown": "done", "upper case": word.upper(), "blank": f"{word} "}
            return {**NOT_TEXT, **UNSTORABLE, **never, **wrong}
        case BooleanField():
            return {name: value for name, value in NOT_A_FLAG.items() if value is not None or not field.allow_null}
        case DateField():
            return {**NOT_TEXT, **UNSTORABLE, **never, **NOT_A_DATE}
        case InstantField():
            return {**NOT_TEXT, **UNSTORABLE, **never, **NOT_A_DATE, "date only": "2026-01-01"}
    raise NotImplementedError(f"say what a {type(field).__name__} refuses")


def _not_of(field: Any) -> Values:
    match field:
        case IntegerField():
            beyond: Values = {"too small": (field.min_value or 0) - 1, "too large": (field.max_value or 0) + 1}
            return {**NOT_WHOLE, **beyond}
        case DecimalField():
            return {**NOT_DECIMAL, "too large": "9" * 40}
    return {**NOT_TEXT, **UNSTORABLE, "empty": "", "word": "one", "braces": "{" + "0" * 36 + "}"}


def _refused_lists(field: ListField) -> dict[str, tuple[str, Any]]:
    wrong: Values = {"text": "a", "number": 1, "boolean": True, "object": {"0": "a"}}
    if field.max_length is not None:
        wrong["too many"] = ["a"] * (field.max_length + 1)
    of_ids = isinstance(field.child, IntegerField)
    never = {**NOT_AN_ID, "null": None} if of_ids else _refused(field.child)
    around: list[Any] = [1] if of_ids else ["a"]  # if there is room
    before, after = (around, around) if (field.max_length or 3) > 2 else ([], [])
    elements = {
        f"element: {name}": (f"/{len(before)}", [*before, value, *after])
        for name, value in {**never, "array": [["a"]]}.items()
    }
    return {**{name: ("", value) for name, value in wrong.items()}, **elements}


def bad_members(resource: Resource) -> dict[str, tuple[dict[str, Any], str]]:
    """By name, bodies with one member that is wrong, and the pointer to its place."""
    fields = {name: field for name, field in resource.serializer().fields.items() if not field.read_only}
    known = {name: refused_values(field) for name, field in fields.items()}
    unknown = {name: {case: ("", value) for case, value in values.items()} for name, values in UNKNOWN_MEMBERS.items()}
    return {
        f"{member}: {case}": ({member: value}, pointer(member) + place)
        for member, cases in {**known, **unknown}.items()
        for case, (place, value) in cases.items()
    }
