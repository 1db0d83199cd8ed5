"""Our copies of unfold's templates follow it: a new version shows here what it has changed in them."""

import difflib
from importlib.metadata import version
from pathlib import Path

import pytest
import unfold
from django.conf import settings
from django.contrib.staticfiles import finders

from tests.pages import signed_in
from users.models import User

OURS = settings.BASE_DIR / "config/templates"
THEIRS = Path(unfold.__file__).parent / "templates"
# How many lines each copy leaves out, and how many it has instead.
CHANGES = {
    "unfold/layouts/skeleton.html": (24, 4),
    "unfold/helpers/header_title.html": (1, 3),
    "unfold/helpers/welcomemsg.html": (8, 9),
    "admin/actions.html": (2, 3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_copy_differs_only_in_what_it_is_there_for(name: str) -> None:
    lines = difflib.ndiff((THEIRS / name).read_text().splitlines(), (OURS / name).read_text().splitlines())
    marks = [line[0] for line in lines if line[2:].strip()]
    assert (marks.count("-"), marks.count("+")) == CHANGES[name], "take over what unfold has changed"


def test_no_other_template_of_unfold_has_a_copy() -> None:
    copies = {str(path.relative_to(OURS)) for path in OURS.rglob("*.html")}
    assert {name for name in copies if (THEIRS / name).exists()} == set(CHANGES)


def test_alpine_is_the_build_that_needs_no_eval() -> None:
    source = Path(str(finders.find("unfold/js/alpine/alpine.js"))).read_text()
    assert "CSP build" in source and "async function(){}" not in source
    assert version("django-unfold").startswith("0.91.")


def test_unfolds_search_which_fails_on_such_input_is_closed(carol: User) -> None:
    assert signed_in(carol).get("/admin/search/?s=a&page=x").status_code == 404
