"""The service's own settings, but for what every test would change, and the resource that only the tests have."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS as APPS
from config.settings import RATE_LIMITS as SHIPPED_LIMITS

INSTALLED_APPS = [*APPS, "tests.notes"]
# The tests of rate limits set their own; nobody else shall meet one.
RATE_LIMITS = dict.fromkeys(SHIPPED_LIMITS)
# Argon2 is slow on purpose; the tests of accounts that are about it say so.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Each client of the tests makes the middleware anew; WhiteNoise would list all static files each time.
WHITENOISE_AUTOREFRESH = True
