"""Does a list get slower as it grows? `python -m tests.benchmarks.growth [--rows 10000000] [--data DIR]`"""

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import django


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--data", type=Path, help="keep the database there for another run")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="tickbase-") as folder:
        _set_up(options.data or Path(folder))
        from tasks.models import Task
        from tests.benchmarks import growth_data
        from users.isolation import all_users

        with all_users():
            if not Task.objects.exists():
                growth_data.seed(options.rows)


def _set_up(data: Path) -> None:
    os.environ.pop("DATABASE_URL", None)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "DATA_DIR": str(data)}
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


if __name__ == "__main__":
    main()
