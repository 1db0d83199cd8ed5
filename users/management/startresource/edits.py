"""The lines that name an app in files that are there: the settings, the layers, and the guide's first page."""

import re
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from users.management.startresource import names
from users.management.startresource.documents import SpecError
from users.management.startresource.files import Files, Place
from users.management.startresource.spec import Spec

SETTINGS, LAYERS = "config/settings.py", "pyproject.toml"
GUIDE, ERRORS = "docs/guide/README.md", "docs/guide/errors.md"
TOKENS = "docs/guide/tokens.md"
EDITED = (SETTINGS, LAYERS, GUIDE, ERRORS, TOKENS)
_CONTAINER = 'containers = ["tasks.projects"'
_ACTIONS: Mapping[str, str] = {
    "GET ": "lists {plural}",
    "POST ": "creates {article}",
    "GET /{{{name}_id}}": "one {words}",
    "PUT /{{{name}_id}}": "changes {article}; absent members stay as they are",
    "PATCH /{{{name}_id}}": "changes the members that you send",
    "DELETE /{{{name}_id}}": "deletes {article}: it goes to the trash",
    "POST /{{{name}_id}}/restore": "takes {article} out of the trash",
    "GET /{{{name}_id}}/history": "what has happened to {article}",
    "GET /by-uid/{{uid}}": "the same {words}, by the id that a device has made",
    "PUT /by-uid/{{uid}}": "changes it, or creates it",
    "PATCH /by-uid/{{uid}}": "changes the members that you send",
    "DELETE /by-uid/{{uid}}": "deletes it",
}
_ELSEWHERE: Mapping[str, str] = {
    "DELETE /api/{{user_id}}/trash/{name}/{{{name}_id}}": "erases one {words} in the trash",
    "GET /api/{{user_id}}/sync/{route}/0/pull": "the same for {plural}",
    "POST /api/{{user_id}}/sync/{route}/0/push": "the same for {plural}",
    "GET /api/{{user_id}}/sync/{route}/0/pullStream": "the same for {plural}",
}


def added(spec: Spec, place: Place, root: Path = settings.BASE_DIR) -> Files:
    """The files with the lines of the app, which may be there already."""
    label = place.package.rpartition(".")[2]
    edited = {
        SETTINGS: _in_settings, LAYERS: _in_layers, GUIDE: _in_guide, ERRORS: _in_errors, TOKENS: _in_tokens,
    }  # fmt: skip
    return {path: edit((root / path).read_text(), spec, place.package, label) for path, edit in edited.items()}


def removed(spec: Spec, place: Place, root: Path = settings.BASE_DIR) -> Files:
    """The files without these lines."""
    label = place.package.rpartition(".")[2]
    texts = {path: (root / path).read_text() for path in EDITED}
    lines = {f'    "{place.package}",', *_rows(spec), *_contents(spec), _scopes(spec)}
    for path in (SETTINGS, GUIDE, TOKENS):
        texts[path] = "".join(line for line in texts[path].splitlines(True) if line.rstrip("\n") not in lines)
    texts[LAYERS] = texts[LAYERS].replace(f" | {label}", "").replace(f', "{place.package}"', "")
    texts[ERRORS] = texts[ERRORS].replace(f" `{spec.name}_not_found`,", "")
    return texts


def _in_settings(text: str, spec: Spec, package: str, label: str) -> str:
    line = f'    "{package}",\n'
    return text if line in text else _after(text, '    "tasks.projects",\n', line, SETTINGS)


def _in_layers(text: str, spec: Spec, package: str, label: str) -> str:
    """One word among the apps within tasks, and one among those whose own files are in layers."""
    if f'"{package}"' in text:
        return text
    block = text.index('containers = ["tasks"]')
    layer = re.compile(r'"projects( \| [a-z_ |]+)?"').search(text, block)
    if layer is None or _CONTAINER not in text:
        raise SpecError(f"{LAYERS} has no layer of projects any more; name {package} in its contracts by hand.")
    text = f"{text[: layer.end() - 1]} | {label}{text[layer.end() - 1 :]}"
    containers = re.compile(re.escape(_CONTAINER) + r"[^\]]*").search(text)
    assert containers is not None
    return f'{text[: containers.end()]}, "{package}"{text[containers.end() :]}'


def _in_guide(text: str, spec: Spec, package: str, label: str) -> str:
    rows = [row for row in _rows(spec) if row not in text]
    own = "".join(f"{row}\n" for row in rows if f"/{spec.plural}" in row and "/sync/" not in row)
    others = [row for row in rows if f"/{spec.plural}" not in row or "/sync/" in row]
    if own:
        text = _before(text, "| `GET /api/{user_id}/counts` |", own, GUIDE)
    for row in others:
        mark = "| `GET /api/{user_id}/history` |" if "/trash/" in row else "| `GET /healthz` |"
        text = _before(text, mark, f"{row}\n", GUIDE)
    (line,) = _contents(spec)
    return text if f"]({spec.plural}.md)" in text else _before(text, "- [Several writes at once]", f"{line}\n", GUIDE)


def _in_errors(text: str, spec: Spec, package: str, label: str) -> str:
    code = f" `{spec.name}_not_found`,"
    return text if code in text else _after(text, " `project_not_found`,", code, ERRORS)


def _in_tokens(text: str, spec: Spec, package: str, label: str) -> str:
    line = _scopes(spec)
    return text if line in text else _before(text, "| `account:read` |", f"{line}\n", TOKENS)


def _scopes(spec: Spec) -> str:
    plural = spec.plural
    return f"| `{plural}:read`, `{plural}:write` | [{names.words_of(plural)}]({plural}.md), likewise |"


def _rows(spec: Spec) -> list[str]:
    words = {
        "name": spec.name,
        "route": spec.plural,
        "words": names.words_of(spec.name),
        "plural": names.words_of(spec.plural),
        "article": names.with_article(spec.name).lower(),
    }
    made = {}
    for place, does in _ACTIONS.items():
        method, _, rest = place.partition(" ")
        made[f"{method} /api/{{user_id}}/{spec.plural}{rest.format(**words)}"] = does.format(**words)
    made |= {place.format(**words): does.format(**words) for place, does in _ELSEWHERE.items()}
    return [f"| `{place}` | {does} |" for place, does in made.items()]


def _contents(spec: Spec) -> list[str]:
    plural = names.words_of(spec.plural)
    return [f"- [{plural.capitalize()}]({spec.plural}.md): their members, filters and orders"]


def _after(text: str, mark: str, line: str, path: str) -> str:
    if mark not in text:
        raise SpecError(f"{path} lacks the line {mark.strip()!r}, after which this one belongs: {line.strip()}")
    return text.replace(mark, mark + line, 1)


def _before(text: str, mark: str, line: str, path: str) -> str:
    if mark not in text:
        raise SpecError(f"{path} lacks the line {mark.strip()!r}, before which this one belongs: {line.strip()}")
    return text.replace(mark, line + mark, 1)
