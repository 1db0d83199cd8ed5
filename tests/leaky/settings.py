"""The service's own, and the mistake."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = [*APPS, "tests.leaky"]
