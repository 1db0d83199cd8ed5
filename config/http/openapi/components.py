"""Shared components of the OpenAPI document: problems with examples, and headers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rest_framework import exceptions

from config.errors import BodyTooSlow, KeyInFlight, KeyReused, PreconditionFailed
from config.http import problems

Schema = dict[str, Any]

PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457 problem details: the one format of every error.",
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "A URI for the kind of problem."},
        "title": {"type": "string", "description": "The kind of problem in a few words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "One sentence about this very case."},
        "code": {"type": "string", "description": "Stable, for programs.", "examples": ["invalid"]},
        "request_id": {"type": "string", "description": "Quote it when you report the problem."},
        "errors": {
            "type": "array",
            "description": "What is wrong, each with its place.",
            "items": {"$ref": "#/components/schemas/ProblemError"},
        },
        "limit": {"type": "integer", "description": "With `limit_reached`: how many there may be."},
        "changes": {
            "type": "array",
            "description": "With `changed_since`: what has changed, up to a hundred objects.",
            "items": {"$ref": "#/components/schemas/ProblemChange"},
        },
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}
PROBLEM_ERROR: Schema = {
    "type": "object",
    "description": "One thing that is wrong: in the body, in a query parameter or in a header.",
    "properties": {
        "pointer": {"type": "string", "description": "RFC 6901 pointer into the body.", "examples": ["/title"]},
        "parameter": {"type": "string", "description": "A query parameter."},
        "header": {"type": "string", "description": "A request header."},
        "code": {"type": "string", "description": "Stable, for programs.", "examples": ["blank"]},
        "detail": {"type": "string", "description": "One sentence for people."},
    },
    "required": ["code", "detail"],
}
PROBLEM_CHANGE: Schema = {
    "type": "object",
    "description": "An object that has changed.",
    "properties": {
        "type": {"type": "string", "description": "The name of its resource.", "examples": ["task"]},
        "id": {"type": "integer", "format": "int64"},
        "members": {
            "type": "array",
            "description": "Those that differ; `id` if the object is gone for good.",
            "items": {"type": "string"},
            "examples": [["title"]],
        },
    },
    "required": ["type", "id", "members"],
}


class Answer(NamedTuple):
    name: str
    kind: problems.Kind
    description: str
    # Of the example, with the resource's name as {name}; without one, its code is the resource's own.
    detail: str | None = None
    members: Mapping[str, Any] = {}  # of the example


_ANSWERS = (
    Answer(
        "Invalid",
        problems.INVALID,
        "Something in the request is invalid; `errors` name it.",
        "/title: This field may not be blank.",
        {"errors": [{"pointer": "/title", "code": "blank", "detail": "This field may not be blank."}]},
    ),
    Answer(
        "Unauthenticated",
        problems.KINDS[exceptions.NotAuthenticated],
        "No valid token; sign in and send `Authorization: Bearer …`.",
        problems.DETAILS[exceptions.NotAuthenticated],
    ),
    Answer(
        "Forbidden",
        problems.FORBIDDEN,
        "The path names another user, whether or not that user exists; or `email_unverified`, where that is required. "
        "Or a personal token may not do this: `insufficient_scope`, whose `WWW-Authenticate` names the `scope` that is "
        "needed, or `session_required`.",
        "This address belongs to another user; use your own id or 'me'.",
    ),
    Answer("NotFound", problems.NOT_FOUND, "Not yours, or not there."),
    Answer(
        "Stale",
        problems.Kind.of(PreconditionFailed),
        "It has changed since; `current` carries it as it is now.",
        "The {name} is at version 6 now; merge your change into `current` and try again.",
    ),
    Answer(
        "InFlight",
        problems.Kind.of(KeyInFlight),
        "A request with this `Idempotency-Key` is still being answered; or `limit_reached`: too many answers are kept.",
        "A request with this Idempotency-Key is being answered; wait for it or try again.",
    ),
    Answer(
        "KeyReused",
        problems.Kind.of(KeyReused),
        "This `Idempotency-Key` came with another body or query before.",
        "This Idempotency-Key came with another body or query before; choose a new key.",
    ),
    Answer(
        "TooSlow",
        problems.Kind.of(BodyTooSlow),
        "The body did not arrive within 30 seconds.",
        "The body did not arrive within 30 seconds; send it again.",
    ),
    Answer(
        "TooLarge",
        problems.TOO_LARGE,
        "The body is larger than 1 MiB; bytes of JSON beyond ASCII count twice.",
        "The body is larger than 1 MiB; send less at a time.",
    ),
    Answer(
        "NotJSON",
        problems.KINDS[exceptions.UnsupportedMediaType],
        "The body must be JSON.",
        problems.DETAILS[exceptions.UnsupportedMediaType],
    ),
    Answer(
        "Throttled",
        problems.THROTTLED,
        "Too many requests; try again after `Retry-After` seconds.",
        "Too many requests; try again in 42 seconds.",
    ),
    Answer(
        "Unavailable",
        problems.OUTAGE,
        "The database is away, or the service is overloaded; try again after `Retry-After` seconds.",
        "The database cannot answer now; try again in a moment.",
    ),
)
PROBLEMS = {answer.kind.status: answer for answer in _ANSWERS}
SUCCESSES = {
    200: "Success.",
    201: "Created.",
    202: "Accepted; the answer is empty.",
    204: "Done; the answer is empty.",
    304: "Unchanged since that ETag; use what you have.",
}
RATE_LIMIT_HEADERS: Schema = {
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": "The limits that this request counts towards: `q` requests in `w` seconds.",
        "example": '"user";q=3000;w=60',
    },
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "What is left of each: `r` requests in the next `t` seconds.",
        "example": '"user";r=2999;t=60',
    },
}
_SECONDS: Schema = {"schema": {"type": "integer"}, "description": "Seconds."}
RATE_LIMITS: Schema = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_LIMIT_HEADERS}
HEADERS: dict[int, Schema] = {
    401: {
        "WWW-Authenticate": {
            "schema": {"type": "string"},
            "description": 'Bearer; with `error="invalid_token"` where the token that came is not valid.',
        }
    },
    429: {"Retry-After": _SECONDS, **RATE_LIMITS},
    503: {"Retry-After": _SECONDS},
}
