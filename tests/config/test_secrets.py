"""Where secrets come from, and which ones production refuses."""

import pytest

from tests.tree import PRODUCTION, SECRET, Tree

TOO_FEW = "repeats too few characters, and can be guessed; make one with: openssl rand -base64 48"
EXAMPLE = "looks like an example, which others know too; make one with: openssl rand -base64 48"
SUPABASE = "super-secret-jwt-token-with-at-least-32-characters-long"
EXAMPLES = [
    "django-insecure-4^v8w@u2q!kz7p5r3n1x9c6b0mta_ej", "change-me-4f1c0a97be62d853f07e9b1ac8d24653",
    "your-secret-key-goes-here-and-is-long", "CHANGEME_CHANGEME_CHANGEME_CHANGEME!",
    "correct horse battery staple, twice", "0123456789abcdef0123456789abcdef",
]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        *[({"SECRET_KEY": value}, f"SECRET_KEY {TOO_FEW}") for value in ("s" * 64, "123" * 20, "abcdefg" * 9)],
        *[({"SECRET_KEY": value}, f"SECRET_KEY {EXAMPLE}") for value in EXAMPLES],
        ({"JWT_SIGNING_KEY": "j" * 64}, f"JWT_SIGNING_KEY {TOO_FEW}"),
        ({"JWT_SIGNING_KEY": EXAMPLES[0]}, f"JWT_SIGNING_KEY {EXAMPLE}"),
        ({"JWT_VERIFYING_KEYS": f"{SECRET[::-1]},{'k' * 32}"}, f"JWT_VERIFYING_KEYS {TOO_FEW}"),
        ({"JWT_EXTERNAL_SECRET": "x" * 32}, f"JWT_EXTERNAL_SECRET {TOO_FEW}"),
        ({"JWT_EXTERNAL_SECRET": SUPABASE}, f"JWT_EXTERNAL_SECRET {EXAMPLE}"),
    ],
)
def test_production_refuses_what_can_be_guessed(tree: Tree, wrong: dict[str, str], message: str) -> None:
    assert tree.refusal(**{**PRODUCTION, **wrong}) == message


def test_development_takes_what_can_be_guessed(tree: Tree) -> None:
    assert tree.load("SECRET_KEY", SECRET_KEY="s" * 32) == {"SECRET_KEY": "s" * 32}


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY", "DATABASE_URL", "JWT_EXTERNAL_SECRET"])
def test_a_secret_can_come_from_a_file(tree: Tree, name: str) -> None:
    file = tree.root / "mounted"
    value = "postgresql://from:file@host/db" if name == "DATABASE_URL" else SECRET[::-1]
    file.write_text(f"{value}\n")
    environment = {**PRODUCTION, name: "", f"{name}_FILE": str(file)}
    assert tree.load(name, **environment) == {name: value}


def test_a_byte_order_mark_is_no_part_of_a_secret(tree: Tree) -> None:
    file = tree.root / "mounted"
    file.write_text(f"\ufeff{SECRET}\n", "utf-8")
    assert tree.load("SECRET_KEY", SECRET_KEY_FILE=str(file)) == {"SECRET_KEY": SECRET}
    (tree.root / ".env").write_text(f"\ufeffSECRET_KEY={SECRET}\n", "utf-8")
    assert tree.load("SECRET_KEY") == {"SECRET_KEY": SECRET}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory."),
        (b" \n", "is empty; write the value into it."),
        (b"\xef\xbb\xbf\n", "is empty; write the value into it."),
        ("s".encode("utf-16") * 40, "is not a text file in UTF-8."),
        (b"\xff" * 40, "is not a text file in UTF-8."),
    ],
)
def test_a_secret_file_that_does_not_serve_is_refused(tree: Tree, content: bytes | None, reason: str) -> None:
    file = tree.root / "mounted"
    if content is not None:
        file.write_bytes(content)
    assert tree.refusal(SECRET_KEY_FILE=str(file)) == f"SECRET_KEY_FILE='{file}' {reason}"


def test_development_makes_its_secrets_once(tree: Tree) -> None:
    names = ("SECRET_KEY", "JWT_SIGNING_KEY")
    first = tree.load(*names)
    assert tree.load(*names) == first
    assert first["SECRET_KEY"] != first["JWT_SIGNING_KEY"]
    files = {path.name: path for path in (tree.root / ".data").iterdir()}
    assert files.keys() == {"secret_key.secret", "jwt_signing_key.secret"}  # no drafts are left
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    assert files["secret_key.secret"].read_text() == first["SECRET_KEY"]


# Each waits for the other just before it publishes a secret; both have the same pid, as in two containers.
RACE = """
import os, pathlib, sys, time
me, other = sys.argv[1:]
link = os.link
def meet_and_link(draft, path):
    pathlib.Path(f"{path}-{me}").touch()
    for _ in range(20_000):
        if pathlib.Path(f"{path}-{other}").exists():
            return link(draft, path)
        time.sleep(0.001)
    sys.exit("the other did not come")
os.link = meet_and_link
os.getpid = lambda: 1
import config.settings as s
print(s.SECRET_KEY, s.JWT_SIGNING_KEY)
"""


def test_racing_processes_share_one_secret(tree: Tree) -> None:
    racers = [tree.start("-c", RACE, "one", "two"), tree.start("-c", RACE, "two", "one")]
    (one, error_of_one), (two, error_of_two) = [process.communicate(timeout=30) for process in racers]
    assert (error_of_one, error_of_two) == ("", "")
    assert one == two
    assert tree.load("SECRET_KEY")["SECRET_KEY"] == one.split()[0]
    assert len(list((tree.root / ".data").glob("*.secret-*"))) == 4  # they have met, twice


def test_a_data_directory_that_cannot_be_written_is_refused(tree: Tree) -> None:
    (tree.root / "file").write_text("")
    refusal = tree.refusal(DATA_DIR=str(tree.root / "file"))
    assert refusal == (
        f"SECRET_KEY is not set, and {tree.root}/file/secret_key.secret cannot be written and read: File exists. "
        "Set SECRET_KEY, or DATA_DIR to a directory of your own."
    )
