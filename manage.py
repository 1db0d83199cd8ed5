#!/usr/bin/env python
"""Django's command line for operators."""

import os
import sys

from config import VERSION


def main() -> None:
    if sys.argv[1:] in (["version"], ["--version"]):  # Django's would tell its own
        print(f"Tickbase {VERSION}")  # noqa: T201
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from config.database.isolation import all_users

    try:
        with all_users():  # who may run commands may read the database
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # An operator's mistake, whose message says what to do; a traceback would hide it.
        sys.exit(f"Tickbase cannot start: {error}")


if __name__ == "__main__":
    main()
