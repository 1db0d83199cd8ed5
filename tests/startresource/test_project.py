"""What is made of a spec of projects is tasks/projects/, but for what only projects do."""

import re

import pytest
from django.conf import settings

from tasks.projects.models import Project
from users.management.startresource import documents, files, parsing, world
from users.management.startresource.files import Files, Place

pytestmark = pytest.mark.process  # ruff

SPEC = """\
resource: project
icon: folder
fields:
  name:        {type: text, max: 120, required: true, help: Two may have the same., example: Kitchen}
  description: {type: text, max: 10000}
  color:       {type: text, max: 7, pattern: "#[0-9a-f]{6}", null: true, example: "#3366cc"}
relations:
  parent: {to: self, max_depth: 4, max_children: 500}
sort: [name]
"""


@pytest.fixture(scope="module")
def generated() -> Files:
    spec = parsing.parse(documents.read(SPEC.encode()), world.world(without="project"))
    return files.generate(spec, Place("tasks.projects"), extra=world.dependencies(spec))


def lines(text: str) -> list[str]:
    """Of code, without its indent and the texts for people."""
    code = re.sub(r'""".*?"""|help_text=f?"[^"]*"', "", text, flags=re.DOTALL)
    return [line.strip().rstrip(",") for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]


def own(name: str) -> list[str]:
    return lines((settings.BASE_DIR / "tasks/projects" / f"{name}.py").read_text())


# Of the lines that are written by hand, how many the generator writes as well.
SHARES = {"apps": 1.0, "resource": 0.7, "services": 0.5, "models": 0.4}


@pytest.mark.parametrize(("name", "share"), SHARES.items())
def test_a_module_is_the_hand_written_one_but_for_its_own(generated: Files, name: str, share: float) -> None:
    made = set(lines(generated[f"tasks/projects/{name}.py"]))
    written = own(name)
    assert len([line for line in written if line in made]) / len(written) >= share


def test_the_modules_are_the_same(generated: Files) -> None:
    made = {path.rpartition("/")[2] for path in generated if path.startswith("tasks/projects/")}
    present = {path.name for path in (settings.BASE_DIR / "tasks/projects").glob("*.py")}
    assert made - {"0001_initial.py", "0002_roles.py"} == present - {"api.py"}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("models", "name = models.CharField(max_length=MAX_NAME)"),
        ("models", 'description = models.CharField(max_length=MAX_DESCRIPTION, blank=True, default="")'),
        ("models", 'derived: ClassVar[tuple[str, ...]] = ("name_key",)'),
        ("models", 'sources: ClassVar[frozenset[str]] = frozenset({"name"})'),
        ("models", "self.name_key = fold(self.name)[:MAX_NAME]"),
        ("serializers", "parent_uid = ReferenceUidField()"),
        ("services", "return writes.restore_many(user, Project, project_ids)"),
        ("admin", "@admin.register(Project)"),
    ],
)
def test_a_line_is_as_it_is_written_by_hand(generated: Files, name: str, line: str) -> None:
    assert line in lines(generated[f"tasks/projects/{name}.py"])
    assert line in own(name)


def test_its_table_has_the_columns_of_projects(generated: Files) -> None:
    made = set(re.findall(r'^ {16}\(\s*"(\w+)",', generated["tasks/projects/migrations/0001_initial.py"], re.M))
    theirs = {field.name for field in Project._meta.concrete_fields}
    assert theirs - made == {"position", "extra", "archived_at"}  # what only projects have
    assert made <= theirs
