"""Specs of the tests: the least, the whole, and those that are refused, each with its reason."""

from typing import Any

from users.management.startresource import documents, parsing
from users.management.startresource.spec import Spec, Target, World

HABIT = """\
resource: habit
fields:
  name:   {type: text, min: 1, max: 120, required: true, search: true}
  color:  {type: text, pattern: "^#[0-9a-f]{6}$", max: 7, null: true}
  goal:   {type: int, min: 1, max: 7, default: 3}
  kind:   {type: enum, values: [build, quit], default: build}
  due:    {type: date, null: true}
relations:
  project: {to: tasks.project, null: true, on_delete: trash}
constraints: [{unique: [name], when: live}, {check: "goal <= 6"}]
indexes: [[kind, due]]
filters: [kind, due_before, due_after, project]
sort: [created, name, due]
default_sort: -created
limits: {per_user: 1000}
"""
# Every type, with what it may have.
WHOLE = """\
resource: reading_list
plural: reading_lists
icon: menu_book
fields:
  name:    {type: text, max: 100, required: true, search: true, help: What it is called., example: Novels}
  note:    {type: text, max: 5000, search: true}
  mood:    {type: text, max: 20, default: calm, min: 2}
  isbn:    {type: text, max: 13, pattern: "[0-9]{13}", required: true, example: "9780000000002"}
  pages:   {type: int, min: 1, max: 9999, null: true}
  score:   {type: int, required: true, min: -5, max: 5}
  price:   {type: decimal, digits: 8, places: 2, min: 0, default: "1.50"}
  weight:  {type: decimal, places: 3, null: true}
  read:    {type: bool}
  lent:    {type: bool, required: true}
  bought:  {type: date, required: true}
  due:     {type: date, null: true}
  at:      {type: instant, null: true}
  format:  {type: enum, values: [paper, sound], required: true}
  genre:   {type: enum, values: [novel, essay], null: true}
  code:    {type: uuid, null: true}
  meta:    {type: json}
  tags:    {type: "text[]", max: 5, each: 20, search: true}
relations:
  parent:  {to: self, max_depth: 3}
  task:    {to: task, on_delete: refuse}
  project: {to: project, null: true, on_delete: null}
  second_home: {to: project, null: true}
  others:  {to: project, many: true, max: 3}
constraints:
  - {unique: [name, format]}
  - {unique: [code], when: always}
  - {check: "bought <= due and score < 5"}
  - {check: "mood != angry"}
indexes: [[format, bought], [project, due]]
filters:
  - name
  - pages_min
  - price_max
  - read
  - bought
  - due_before
  - at_after
  - format
  - code
  - tags
  - parent
  - task
  - project
  - second_home
  - other
sort: [name, pages, price, bought, due, at, updated]
default_sort: -bought
limits: {per_user: 50}
"""

WORLD = World(
    targets={
        "task": Target("task", "tasks", "tasks.Task", "tasks_task"),
        "project": Target("project", "tasks.projects", "projects.Project", "projects_project"),
        "invoice": Target("invoice", "tasks.invoices", "invoices.Invoice", "invoices_invoice", requires=("client",)),
        "client": Target("client", "tasks.clients", "clients.Client", "clients_client", requires=("habit",)),
    },
    paths={"tasks", "projects", "batch", "trash", "sync", "stream", "history", "changes", "undo", "tags"},
    labels={"tasks", "projects", "users", "config", "auth", "sessions", "messages", "admin"},
)


def parsed(text: str | bytes, *, is_json: bool = False) -> Spec:
    content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return parsing.parse(documents.read(content, is_json=is_json), WORLD)


def with_fields(*lines: str, **entries: str) -> str:
    """The least spec with further fields, and further keys."""
    fields = "".join(f"  {line}\n" for line in lines)
    others = "".join(f"{key}: {value}\n" for key, value in entries.items())
    return f"resource: habit\nfields:\n  name: {{type: text, required: true}}\n{fields}{others}"


def with_field(text: str) -> str:
    return with_fields(f"value: {text}")


# By name: the spec, its line that is to blame, and a part of the sentence.
REFUSED: dict[str, tuple[str | bytes, int, str]] = {
    # --- YAML
    "empty": ("", 0, "is empty"),
    "a comment alone": ("# habit\n", 0, "is empty"),
    "a list": ("- habit\n", 1, "as keys and values"),
    "a word": ("habit\n", 1, "as keys and values"),
    "no YAML": ("resource: [habit\nfields: {", 2, "This is no YAML"),
    "a tab as indent": ("resource: habit\nfields:\n\tname: {type: text}\n", 3, "This is no YAML"),
    "an alias": (with_fields("a: &a {type: bool}", "b: *a"), 4, "no anchors and aliases"),
    "a billion laughs": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", 1, "no anchors and aliases"),
    "a tag of Python": ("resource: !!python/object/apply:os.system [ls]\n", 1, "no tags"),
    "a tag of YAML": ("resource: !!str habit\n", 1, "no tags"),
    "an own tag": ("resource: !habit x\n", 1, "no tags"),
    "two documents": (with_fields() + "---\nresource: b\n", 4, "one document"),
    "a merge key": (with_fields("a: {<<: {type: bool}}"), 4, "plain name"),
    "a key that is a list": ("? [a]\n: b\n", 1, "plain name"),
    "a key twice": (with_fields() + "resource: other\n", 4, "stands twice"),
    "a field twice": (with_fields("name: {type: bool}"), 4, "stands twice"),
    "more than 1 MB": (with_fields() + "#" * 1_000_001, 0, "more than 1,000,000 bytes"),
    "too deep": ("resource: [[[[[[[[[[a]]]]]]]]]]\n", 1, "deeper than 8"),
    "not UTF-8": (b"resource: caf\xe9\n", 1, "not UTF-8"),
    "UTF-16": ("resource: habit\n".encode("utf-16"), 1, "not UTF-8"),
    "a control character": ("resource: ha\x07bit\n", 0, "YAML forbids"),
    "NUL in a text": (with_field('{type: text, default: "a\\0b"}'), 4, "cannot store"),
    "half a character": (with_field('{type: text, default: "a\\uD800b"}'), 4, "cannot store"),
    "yes": (with_field("{type: text, required: yes}"), 4, "true or false"),
    "a value that YAML takes for a flag": (with_field("{type: enum, values: [on, off]}"), 4, "put it into quotes"),
    "octal": (with_field("{type: text, max: 0o17, required: true}"), 4, "whole number"),
    "leading zeros": (with_field("{type: int, max: 017}"), 4, "decimal digits"),
    "sexagesimal": (with_field("{type: int, max: 1:30}"), 4, "decimal digits"),
    "underscores": (with_field("{type: int, max: 1_000}"), 4, "decimal digits"),
    "infinity": (with_field("{type: decimal, max: .inf}"), 4, "digits before and after"),
    # --- Keys
    "no name": ("fields: {name: {type: text}}\n", 1, "lacks 'resource'"),
    "no fields": ("resource: habit\n", 1, "lacks 'fields'"),
    "an unknown key": (with_fields(color="red"), 4, "no key 'color'"),
    "an unknown key of a field": (with_field("{type: text, size: 3}"), 4, "no key 'size'"),
    "a bound of another type": (with_field("{type: bool, max: 3}"), 4, "no key 'max'"),
    "an unknown type": (with_field("{type: string}"), 4, "'string' is no type"),
    "no type": (with_field("{max: 3}"), 4, "Say its type"),
    "fields as a list": ("resource: habit\nfields: [name]\n", 2, "as names"),
    "no field at all": ("resource: habit\nfields: {}\n", 2, "1 to 60 fields"),
    "too many fields": (with_fields(*(f"f{n}: {{type: bool}}" for n in range(60))), 3, "1 to 60 fields"),
    "no title": ("resource: habit\nfields: {done: {type: bool}}\n", 2, "People know a row by a text"),
    "a title that may be short": ("resource: habit\nfields: {a: {type: text, required: true, max: 9}}\n", 2, "60"),
    # --- Names
    "a name in capitals": (with_fields().replace("habit", "Habit"), 1, "snake_case"),
    "a name with a space": (with_fields().replace("habit", "my habit"), 1, "snake_case"),
    "a name with a hyphen": (with_fields().replace("habit", "my-habit"), 1, "snake_case"),
    "a name in Cyrillic": (with_fields().replace("habit", "hаbit"), 1, "snake_case"),
    "a name with an accent": (with_fields("préis: {type: bool}"), 4, "snake_case"),
    "a name that begins with a digit": (with_fields("2nd: {type: bool}"), 4, "snake_case"),
    "a path as a name": (with_fields().replace("habit", "../habit"), 1, "snake_case"),
    "code as a name": (with_fields('"x = 1; import os": {type: bool}'), 4, "snake_case"),
    "a name of 64 bytes": (with_fields("a" * 64 + ": {type: bool}"), 4, "40 are the most"),
    "names that make 64 bytes": (with_fields().replace("habit", "a" * 30), 1, "PostgreSQL keeps 63"),
    "a plural that is the name": (with_fields(plural="habit"), 4, "The plural is the name"),
    "a name that is there": (with_fields().replace("habit", "task"), 1, "a resource task already"),
    "a route that is there": (with_fields(plural="batch"), 4, "another route"),
    "a route that is planned": (with_fields(plural="webhooks"), 4, "another route"),
    "an app that is there": (with_fields(plural="sessions"), 4, "an app sessions already"),
    "a keyword as name": (with_fields().replace("habit", "class"), 1, "reserved word"),
    "a word of SQL as name": (with_fields().replace("habit", "order"), 1, "reserved word"),
    **{
        f"{word} as a field": (with_fields(f"{word}: {{type: bool}}"), 4, reason)
        for word, reason in {
            "id": "member of every resource", "uid": "member of every resource", "user": "member of every resource",
            "version": "member of every resource", "deleted_at": "member of every resource",
            "select": "word of SQL", "order": "word of SQL", "limit": "word of SQL", "user_id": "member of every",
            "type": "the trash",
            "import": "word of Python", "lambda": "word of Python", "objects": "meaning in the code",
            "save": "meaning in the code", "apply": "meaning in the code", "mutable": "meaning in the code",
            "models": "meaning in the code", "tuple": "meaning in the code", "pk": "meaning in the code",
            "xmin": "meaning in the code", "content": "meaning in the code",
        }.items()
    },
    "two that make one": (with_fields("name_key: {type: bool}", sort="[name]"), 4, "both make name_key"),
    "a relation and a field": (
        with_fields("task_id: {type: bool}", relations="{task: {to: task}}"), 4, "both make task_id"
    ),
    "an icon with markup": (with_fields(icon="<b>"), 4, "Material Symbols"),
    # --- Bounds and defaults
    "min above max": (with_field("{type: int, min: 9, max: 3, null: true}"), 4, "nothing is between"),
    "a text without room": (with_field("{type: text, min: 9, max: 3, null: true}"), 4, "nothing is between"),
    "a text that is too long": (with_field("{type: text, max: 1000000}"), 4, "from 1 to 100,000"),
    "a number beyond 32 bits": (with_field("{type: int, max: 4294967296}"), 4, "whole number from"),
    "a default above max": (with_field("{type: int, max: 3, default: 4}"), 4, "not between min and max"),
    "a default that is too long": (with_field('{type: text, max: 2, default: "abc"}'), 4, "It has 3 characters"),
    "a default without the pattern": (with_field('{type: text, pattern: "[a-z]", default: "A"}'), 4, "not match"),
    "a default of another type": (with_field("{type: int, default: three}"), 4, "whole number"),
    "a default that is no value": (with_field("{type: enum, values: [a, b], default: c}"), 4, "none of the values"),
    "a default date that does not exist": (with_field('{type: date, default: "2026-02-30"}'), 4, "date that exists"),
    "a default beside required": (with_field("{type: int, required: true, default: 1}"), 4, "needs no default"),
    "required and null": (with_field("{type: int, required: true, null: true}"), 4, "choose one of the two"),
    "neither required, null nor a default": (with_field("{type: int}"), 4, "needs a value"),
    "an enum without values": (with_field("{type: enum, null: true}"), 4, "needs its values"),
    "an enum of one": (with_field("{type: enum, values: [a], null: true}"), 4, "2 to 50"),
    "an enum with one twice": (with_field("{type: enum, values: [a, a], null: true}"), 4, "stands twice"),
    "an enum with capitals": (with_field("{type: enum, values: [A, b], null: true}"), 4, "small letters"),
    "a pattern that is none": (with_field('{type: text, pattern: "(", null: true}'), 4, "no regular expression"),
    "a required pattern without example": (with_field('{type: text, pattern: "a", required: true}'), 4, "an example"),
    "more places than digits": (with_field("{type: decimal, digits: 2, places: 3, null: true}"), 4, "places is 3"),
    "a decimal with too many places": (with_field("{type: decimal, default: 1.005}"), 4, "more than 2 after"),
    "json that may be null": (with_field("{type: json, null: true}"), 4, "empty rather than nothing"),
    # --- Relations
    "a relation to nothing": (with_fields(relations="{a: {}}"), 4, "Say which resource"),
    "a relation to what is no resource": (with_fields(relations="{a: {to: auth.group}}"), 4, "is no resource"),
    "a relation to a user": (with_fields(relations="{a: {to: users.User}}"), 4, "is no resource"),
    "a relation within another package": (with_fields(relations="{a: {to: garden.task}}"), 4, "is no resource"),
    "many of its own": (with_fields(relations="{others: {to: self, many: true}}"), 4, "of another resource"),
    "many that may be null": (with_fields(relations="{a: {to: task, many: true, null: true}}"), 4, "to one row"),
    "many that go along": (with_fields(relations="{a: {to: task, many: true, on_delete: trash}}"), 4, "to one row"),
    "a maximum of one": (with_fields(relations="{a: {to: task, max: 3}}"), 4, "for relations to several"),
    "a maximum of one row": (with_fields(relations="{a: {to: task, many: true, max: 1}}"), 4, "from 2 to 1,000"),
    "many and a field": (
        with_fields("task_ids: {type: bool}", relations="{tasks: {to: task, many: true}}"), 4, "both make task_ids"
    ),
    "a filter by all of them": (
        with_fields(relations="{tasks: {to: task, many: true}}", filters="[tasks]"), 5, "write task"
    ),
    "a tree without a root": (with_fields(relations="{parent: {to: self, null: false}}"), 4, "null: true"),
    "two trees": (with_fields(relations="{a: {to: self}, b: {to: habit}}"), 4, "by one relation"),
    "a cycle": (with_fields(relations="{a: {to: client}}"), 4, "need each other first"),
    "a long cycle": (with_fields(relations="{a: {to: invoice}}"), 4, "need each other first"),
    "an unknown on_delete": (with_fields(relations="{a: {to: task, on_delete: cascade}}"), 4, "trash, null or refuse"),
    "null where it must not be": (with_fields(relations="{a: {to: task, on_delete: null}}"), 4, "needs null: true"),
    "the depth of what is no tree": (with_fields(relations="{a: {to: task, max_depth: 3}}"), 4, "for relations"),
    # --- Constraints and lists
    "a constraint of both kinds": (with_fields(constraints='[{unique: [name], check: "a = 1"}]'), 4, "either"),
    "unique of nothing": (with_fields(constraints="[{unique: []}]"), 4, "1 to 5"),
    "unique of an unknown field": (with_fields(constraints="[{unique: [nome]}]"), 4, "no field or relation 'nome'"),
    "unique of json": (with_fields("m: {type: json}", constraints="[{unique: [m]}]"), 5, "does not take"),
    "unique of a long text": (
        with_fields("t: {type: text, max: 5000}", constraints="[{unique: [t]}]"), 5, "up to 500 characters"
    ),
    "unique sometimes": (with_fields(constraints="[{unique: [name], when: monday}]"), 4, "live"),
    "a check that is none": (with_fields(constraints='[{check: "DROP TABLE users"}]'), 4, "no comparison"),
    "a check with a function": (with_fields(constraints='[{check: "pg_sleep(9) = 1"}]'), 4, "no comparison"),
    "a check of an unknown field": (with_fields(constraints='[{check: "goal < 3"}]'), 4, "no field that"),
    "a check of a text's order": (with_fields(constraints='[{check: "name < b"}]'), 4, "has no order"),
    "a check that no row passes": (
        with_fields("goal: {type: int, min: 3, null: true}", constraints='[{check: "goal < 3"}]'), 5, "contradicts"
    ),
    "a check that the examples break": (
        with_fields(
            "a: {type: date, required: true}", "b: {type: date, required: true}", constraints='[{check: "a < b"}]'
        ),
        6,
        "A row of examples breaks",
    ),
    "a check that the defaults break": (
        with_fields("a: {type: int, default: 9, example: 1}", constraints='[{check: "a < 5"}]'), 5, "A row of defaults"
    ),
    "an index of json": (with_fields("m: {type: json}", indexes="[[m]]"), 5, "does not take"),
    "an unknown filter": (with_fields(filters="[nome]"), 4, "is no filter"),
    "a range of a text": (with_fields(filters="[name_before]"), 4, "is no filter"),
    "a filter that every list has": (with_fields("total: {type: bool}", filters="[total]"), 5, "parameter of every"),
    "a filter twice": (with_fields(filters="[name, name]"), 4, "stands twice"),
    "an unknown order": (with_fields(sort="[nome]"), 4, "is none"),
    "an order of flags": (with_fields("done: {type: bool}", sort="[done]"), 5, "is none"),
    "a default order that is none": (with_fields(default_sort="-name"), 4, "one of sort"),
    "a limit of nothing": (with_fields(limits="{per_user: 0}"), 4, "from 1 to"),
    "a limit of millions": (with_fields(limits="{per_user: 100000000}"), 4, "from 1 to"),
}  # fmt: skip
SAMPLES: dict[str, Any] = {"least": with_fields(), "habit": HABIT, "whole": WHOLE}
