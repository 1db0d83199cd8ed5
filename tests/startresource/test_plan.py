"""Writing again: what is untouched is written anew, edits are merged, and tables change by new migrations."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.startresource.specs import HABIT
from users.management.startresource import documents, edits, parsing, plan, removal, world
from users.management.startresource.documents import SpecError
from users.management.startresource.plan import LOCK, Plan

pytestmark = pytest.mark.process  # ruff and git
APP = "tasks/habits"


# Each lacks something else, and what would have used it.
SPARSE = {
    "no more": "",
    "a number to sort by": "level: {type: int, default: 3}}\nsort: [level]",
    "a price to sort by": "price: {type: decimal, digits: 8, places: 2, required: true}}\nsort: [price]",
    "a day": "day: {type: date, null: true}}\nfilters: [day_before, day_after]",
    "one bit": "open: {type: bool}}\nfilters: [open]",
    "an instant": "at: {type: instant, required: true}}\nsort: [at]",
    "a relation": "code: {type: uuid, required: true}}\nrelations: {task: {to: task}}\nfilters: [task]",
}
NAMED = "resource: habit\nfields: {name: {type: text, max: 60, required: true}, "


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The root of a project, as far as the generator reads it."""
    for path in edits.EDITED:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(settings.BASE_DIR / path, tmp_path / path)
    return tmp_path


@pytest.fixture
def root(bare: Path) -> Path:
    """With a resource."""
    planned(bare).write()
    return bare


def planned(root: Path, text: str = HABIT) -> Plan:
    spec = parsing.parse(documents.read(text.encode()), world.world(without="habit"))
    return plan.planned(spec, plan.place_of(spec, None, root), root)


def migrations(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / APP / "migrations").glob("0*.py"))


def migration(root: Path, number: int) -> str:
    return (root / APP / "migrations" / f"{migrations(root)[number - 1]}.py").read_text()


def test_the_app_is_written_with_one_line_in_each_file_that_names_it(root: Path) -> None:
    assert (root / APP / "models.py").read_text().count("class Habit(OwnedModel)") == 1
    for path, words in (
        (edits.SETTINGS, '    "tasks.habits",\n'),
        (edits.LAYERS, "| habits"),
        (edits.LAYERS, '"tasks.habits"]'),
        (edits.GUIDE, "- [Habits](habits.md)"),
        (edits.GUIDE, "| `GET /api/{user_id}/habits` | lists habits |\n"),
        (edits.ERRORS, "`habit_not_found`"),
        (edits.TOKENS, "| `habits:read`, `habits:write` | [habits](habits.md), likewise |\n"),
    ):
        assert (root / path).read_text().count(words) == 1, path
    assert migrations(root) == ["0001_initial", "0002_roles"]


@pytest.mark.parametrize("text", SPARSE.values(), ids=SPARSE)
def test_whatever_a_spec_lacks_the_linter_finds_nothing(bare: Path, text: str) -> None:
    planned(bare, NAMED + (text or "}")).write()
    names = 'lint.isort.known-first-party = ["config", "tasks", "tests", "users"]'  # not all of which are there
    for arguments in (["check", f"--config={names}"], ["format", "--check"]):
        command = [str(Path(sys.executable).with_name("ruff")), *arguments, APP, "tests"]
        done = subprocess.run(command, cwd=bare, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_same_spec_again_makes_no_difference(root: Path) -> None:
    again = planned(root)
    assert (again.changed(), list(again.diff()), again.destroys) == ([], [], [])


def test_another_spec_rewrites_what_is_untouched_and_adds_a_migration(root: Path) -> None:
    before = migration(root, 1)
    again = planned(root, HABIT.replace("  due:", "  note:   {type: text, max: 500, search: true}\n  due:"))
    assert again.destroys == []
    again.write()
    assert migration(root, 1) == before
    assert migrations(root)[2:] == ["0003_note_search", "0004_fill_note_search"]
    assert '"note", models.CharField(max_length=500, blank=True, default="")' in migration(root, 3)
    assert 'fold_all([row.name or "", row.note or ""], {})' in migration(root, 4)
    assert "note = models.CharField" in (root / APP / "models.py").read_text()
    assert (
        planned(root, HABIT.replace("  due:", "  note:   {type: text, max: 500, search: true}\n  due:")).changed() == []
    )


def test_a_new_field_that_every_row_has_is_added_filled_and_constrained(root: Path) -> None:
    text = HABIT.replace("  due:", "  rank:   {type: int, required: true, min: 0, max: 9, example: 4}\n  due:")
    planned(root, text).write()
    assert [name[5:].split("_")[0] for name in migrations(root)[2:]] == ["rank", "fill", "constrain"]
    assert 'AddField("habit", "rank", models.IntegerField(null=True))' in migration(root, 3)
    assert "row.rank = 4" in migration(root, 4)
    assert "rank__range=(0, 9)" in migration(root, 5) and "rank__isnull=False" in migration(root, 5)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  due:    {type: date, null: true}\n", "", "the field due is dropped"),
        ("[build, quit]", "[build, keep]", "kind loses quit"),
        ("max: 120", "max: 80", "bounds of name are narrower"),
        ("{unique: [name], when: live}", "{unique: [name, kind], when: live}", "become unique"),
        ("goal <= 6", "goal <= 5", "a new check"),
    ],
)
def test_what_destroys_is_said(root: Path, old: str, new: str, sentence: str) -> None:
    text = HABIT.replace(old, new)
    if not new:  # with all that names it
        text = (
            text.replace("[[kind, due]]", "[[kind]]")
            .replace("due_before, due_after, ", "")
            .replace("name, due]", "name]")
        )
    again = planned(root, text)
    assert sentence in " ".join(again.destroys)


def test_an_edit_by_hand_is_kept_and_merged(root: Path) -> None:
    services = root / APP / "services.py"
    services.write_text(services.read_text() + "\n\ndef of_mine() -> int:\n    return 1\n")
    assert planned(root).changed() == []
    again = planned(root, HABIT.replace("  project:", "  task: {to: task, null: true}\n  project:"))
    again.write()
    assert (again.merged, again.conflicts) == ([f"{APP}/services.py"], [])
    text = services.read_text()
    assert "def of_mine() -> int:" in text and '"task_uid"' in text


def test_edits_of_one_line_are_a_conflict_with_both(root: Path) -> None:
    models = root / APP / "models.py"
    models.write_text(models.read_text().replace("MAX_NAME = 120", "MAX_NAME = 130"))
    again = planned(root, HABIT.replace("max: 120", "max: 140"))
    assert again.conflicts == [f"{APP}/models.py"]
    text = again.texts[f"{APP}/models.py"]
    assert "<<<<<<< yours\nMAX_NAME = 130\n" in text and "MAX_NAME = 140\n>>>>>>> generated now" in text


def test_what_is_removed_leaves_nothing_behind(root: Path) -> None:
    spec = parsing.parse(documents.read(HABIT.encode()), world.world(without="habit"))
    told = removal.remove(spec, plan.place_of(spec, None, root), destructive=False, root=root)
    assert told == "tasks/habits is gone. Next: make schema"
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) == sorted(edits.EDITED)
    assert {path: (root / path).read_text() for path in edits.EDITED} == {
        path: (settings.BASE_DIR / path).read_text() for path in edits.EDITED
    }


def test_what_was_edited_by_hand_is_removed_if_that_is_meant(root: Path) -> None:
    services = root / APP / "services.py"
    services.write_text(services.read_text() + "\n# Mine\n")
    spec = parsing.parse(documents.read(HABIT.encode()), world.world(without="habit"))
    place = plan.place_of(spec, None, root)
    with pytest.raises(SpecError, match=f"{APP}/services.py were edited by hand"):
        removal.remove(spec, place, destructive=False, root=root)
    assert services.exists()
    removal.remove(spec, place, destructive=True, root=root)
    assert not services.exists()


@pytest.mark.parametrize("place", ["../outside.txt", "{outside}"])
def test_a_lock_that_names_files_elsewhere_deletes_none(root: Path, place: str) -> None:
    outside = root.parent / "outside.txt"
    outside.write_text("precious")
    spec = parsing.parse(documents.read(HABIT.encode()), world.world(without="habit"))
    lock = root / APP / LOCK
    held = json.loads(lock.read_text())
    held["files"][place.format(outside=outside)] = plan.sha("precious")
    lock.write_text(json.dumps(held))
    with pytest.raises(SpecError, match=r"outside\.txt, which is outside"):
        removal.remove(spec, plan.place_of(spec, None, root), destructive=True, root=root)
    assert outside.exists() and lock.exists()


def test_what_was_not_made_by_it_is_not_removed() -> None:
    with pytest.raises(CommandError, match="There is a resource project already"):
        call_command("startresource", "project", "name:text!", remove=True)


def test_a_folder_of_somebody_elses_is_left(root: Path) -> None:
    (root / APP / LOCK).unlink()
    with pytest.raises(SpecError, match="was not made by startresource"):
        planned(root)


def test_what_git_leaves_of_a_folder_is_no_obstacle(root: Path) -> None:
    """Compiled modules, which it ignores."""
    (root / APP / "__pycache__").mkdir()
    (root / APP / "__pycache__/models.cpython-311.pyc").touch()
    spec = parsing.parse(documents.read(HABIT.encode()), world.world(without="habit"))
    for path in (root / APP).rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            path.unlink()
    assert plan.place_of(spec, None, root).folder == APP


def test_another_place_than_tasks_is_refused() -> None:
    spec = parsing.parse(documents.read(HABIT.encode()), world.world())
    for into in ("habits", "/tmp/habits", "../habits", "users/habits", "tasks/other", "tasks/habits/x"):
        with pytest.raises(SpecError):
            plan.place_of(spec, into)


def test_comments_are_what_their_spec_says(capsys: pytest.CaptureFixture[str]) -> None:
    """So the templates and tasks/comments/ do not drift apart."""
    call_command("startresource", str(settings.BASE_DIR / "docs/examples/comment.yaml"), check=True)
    assert capsys.readouterr().out == "The code is what the spec says.\n"


def test_a_dry_run_shows_the_diff_and_a_check_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "comment.yaml"
    path.write_text((settings.BASE_DIR / "docs/examples/comment.yaml").read_text().replace("10000", "20000"))
    call_command("startresource", str(path), dry_run=True)
    shown = capsys.readouterr().out
    assert "-MAX_TEXT = 10_000\n+MAX_TEXT = 20_000\n" in shown and "+++ b/tasks/comments/migrations/0003_text" in shown
    with pytest.raises(CommandError, match="tasks/comments/models.py"):
        call_command("startresource", str(path), check=True)
    assert not list((settings.BASE_DIR / "tasks/comments/migrations").glob("0003*"))
