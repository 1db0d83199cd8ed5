"""The strict JSON parser: what it takes, and what it refuses before two readers could understand it differently."""

from typing import Any

import pytest
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from config.http.errors import MalformedBody
from config.http.json import MERGE_PATCH, parse_body


def parsed(body: bytes, media_type: str = "application/json", method: str = "PATCH") -> Any:
    factory: Any = APIRequestFactory()
    request = factory.generic(method, "/", body, media_type)
    return parse_body(Request(request))


@pytest.mark.parametrize(
    "body, value",
    [
        (b'{"a": [1, 2.5, -3e2, true, null, "x"]}', {"a": [1, 2.5, -300.0, True, None, "x"]}),
        (b" \r\n\t{} \n", {}),
        ('"报告 🎉"'.encode(), "报告 🎉"),
        (b'"\\ud83c\\udf89"', "🎉"),
        (b'{"a": {"x": 1}, "b": {"x": 1}}', {"a": {"x": 1}, "b": {"x": 1}}),
        (b"9" * 4000, 10**4000 - 1),
        (b"1e308", 1e308),
        (b"null", None),
        (b"", {}),
    ],
)
def test_takes_json(body: bytes, value: Any) -> None:
    assert parsed(body) == value


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json; charset=utf8; profile=x",
        MERGE_PATCH,
        f"{MERGE_PATCH}; charset=utf-8",
    ],
)
def test_takes_json_under_each_of_its_names(media_type: str) -> None:
    assert parsed(b'{"a": 1}', media_type) == {"a": 1}


@pytest.mark.parametrize(
    "body, reason",
    [
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b"1e400", "too large"),
        (b'[{"a": -1e400}]', "too large"),
        (b"9" * 5000, "too many digits"),
        (b'{"a": 1, "a": 1}', "'a' occurs twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' occurs twice"),
        (b'[[{"x": {"": 1, "b": 2, "": 3}}]]', "'' occurs twice"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "'\\ud800' occurs twice"),
        (b"[" * 5000 + b"]" * 5000, "too deeply"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too deeply"),
        (b'{"a": "\xff"}', "byte 7 is invalid"),
        ('{"a": 1}'.encode("utf-16"), "byte 0 is invalid"),
        ('{"a": 1}'.encode("utf-16-be"), "not JSON"),
        ('{"a": 1}'.encode("utf-32-le"), "not JSON"),
        (b'"\xed\xa0\x80"', "byte 1 is invalid"),
        (b'"\xc0\xaf"', "byte 1 is invalid"),
        (b'"\xf5\x80\x80\x80"', "byte 1 is invalid"),
        (b'"\x00"', "control character"),
        (b'"\n"', "control character"),
        (b"\x00", "not JSON"),
        (b" ", "not JSON"),
        (b"01", "not JSON"),
        (b"+1", "not JSON"),
        (b"0x1", "not JSON"),
        (b".5", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b"True", "not JSON"),
        ("١".encode(), "not JSON"),
        ("\u00a0{}".encode(), "not JSON"),
    ],
)
def test_refuses_what_is_not_strictly_json(body: bytes, reason: str) -> None:
    with pytest.raises(MalformedBody, match=r".") as refusal:
        parsed(body)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json; charset=latin1",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=",
        f"{MERGE_PATCH}; charset=us-ascii",
        "application/problem+json",
        "application/json-patch+json",
        "application/jsonx",
        "text/json",
        "json",
        "*/*",
    ],
)
def test_refuses_other_types_and_charsets(media_type: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        parsed(b"{}", media_type)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_refuses_a_merge_patch_that_is_no_patch(method: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        parsed(b"{}", MERGE_PATCH, method)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize(("levels", "is_read"), [(32, True), (33, False), (900, False)])
def test_nesting_has_a_bound_of_its_own(opening: str, closing: str, levels: int, is_read: bool) -> None:
    body = (opening * levels + "1" + closing * levels).encode()
    if is_read:
        assert parsed(body) is not None
    else:
        with pytest.raises(MalformedBody, match="too deeply"):
            parsed(body)
