"""Loads the settings in a process and a directory of their own, under a given environment.

Neither the developer's `.env` nor `.data` takes part, and with a `DATABASE_URL` no PostgreSQL is started.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

DATABASE_URL = "postgresql://user:password@localhost/name"
SECRET, KEY = "uA2zVq0LxT7nRk4yWc9bHd5mJf8gPs3E", "4f1c0a97be62d853f07e9b1ac8d24653"
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": SECRET,
    "JWT_SIGNING_KEY": KEY,
    "ALLOWED_HOSTS": "tasks.example.com",
    "DATABASE_URL": DATABASE_URL,
}
SHOW = "import json, sys, config.settings as s; print(json.dumps({n: getattr(s, n, None) for n in sys.argv[1:]}))"
REFUSAL = "django.core.exceptions.ImproperlyConfigured: "


class Tree:
    """A directory with the settings in it, as far as they read files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ignored = shutil.ignore_patterns("static", "templates", "__pycache__")
        shutil.copytree(settings.BASE_DIR / "config", root / "config", ignore=ignored)
        for name in ("manage.py", "users/__init__.py", "docs/openapi.md"):
            (root / name).parent.mkdir(exist_ok=True)
            shutil.copy(settings.BASE_DIR / name, root / name)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        given = {"PATH": os.environ["PATH"], "DATABASE_URL": DATABASE_URL, **environment}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, *command], cwd=self.root, env=given, stdout=pipe, stderr=pipe, text=True
        )

    def load(self, *names: str, **environment: str) -> dict[str, Any]:
        """The named settings under this environment."""
        process = self.start("-c", SHOW, *names, **environment)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")
        loaded: dict[str, Any] = json.loads(out)
        return loaded

    def refusal(self, **environment: str) -> str:
        """The message that ends the attempt to load the settings."""
        process = self.start("-c", "import config.settings", **environment)
        last_line = process.communicate(timeout=30)[1].splitlines()[-1]
        assert process.returncode == 1
        assert last_line.startswith(REFUSAL)
        return last_line.removeprefix(REFUSAL)
