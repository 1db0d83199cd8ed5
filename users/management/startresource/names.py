"""Names of a spec: what they look like, which are taken by SQL, Python and the kit, and what is made of them."""

import keyword
import re

from users.resources.models import OwnedModel

NAME = r"[a-z][a-z0-9]*(_[a-z0-9]+)*"
MAX_NAME = 40  # characters of a name; those of constraints are made of three
MAX_IDENTIFIER = 63  # bytes, PostgreSQL's


def as_words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Of PostgreSQL 15 to 18: reserved, also where they may name a function or type.
SQL = as_words(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
    from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
    returning right select session_user similar some symmetric system_user table tablesample then to trailing true
    union unique user using variadic verbose when where window with
    """
)
MEMBERS = as_words("id uid user user_id version created_at updated_at deleted_at erased_at")
PARAMETERS = as_words("sort limit offset cursor total updated_since search")
# What the bodies of the generated classes use, and the columns that every table has by itself.
_CODE = as_words(
    "models re dt property classmethod tuple str int bool dict list frozenset super self cls ctid xmin xmax cmin cmax "
    "tableoid"
)
PLANNED = as_words("imports exports export import webhooks feeds reminders counts users auth me admin api")
_OF_THE_KIT = frozenset(
    name for each in OwnedModel.__mro__ for name in (*vars(each), *getattr(each, "__annotations__", {}))
)


def taken(name: str) -> str:
    """Why a field or a relation cannot be called so; empty if it can."""
    if name in MEMBERS:
        return f"{name} is a member of every resource"
    if name == "type":
        return "type is what the trash and the changes call the resource"
    if name in SQL:
        return f"{name} is a reserved word of SQL"
    if keyword.iskeyword(name):
        return f"{name} is a word of Python"
    if name in _OF_THE_KIT | _CODE:
        return f"{name} has a meaning in the code of every resource"
    return ""


def plural_of(name: str) -> str:
    """A guess."""
    if re.search("(s|x|z|ch|sh)$", name):
        return f"{name}es"
    return f"{name[:-1]}ies" if re.search("[^aeiou]y$", name) else f"{name}s"


def class_name(name: str) -> str:
    """As the declaration makes it."""
    return name.title().replace("_", "")


def words_of(name: str) -> str:
    return name.replace("_", " ")


def with_article(name: str) -> str:
    words = words_of(name)
    return f"{'An' if words[0] in 'aeiou' else 'A'} {words}"
