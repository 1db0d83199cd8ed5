"""The service's own settings, and the resource that only the tests have."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = [*APPS, "tests.notes"]
