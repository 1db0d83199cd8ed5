"""The ASGI entry point, which `manage.py serve` runs under granian."""

from django.conf import settings
from django.urls import reverse

from config.bridge import Bridge, Lane
from config.rest.address import address_in, network
from config.rest.refusals import META_KEY, refuse
from config.wsgi import application as wsgi_application
from users.api.authentication import caller_in

LANES = {
    ("GET", reverse("healthz")): Lane.URGENT,
    ("GET", reverse("export")): Lane.HEAVY,
    ("POST", reverse("login")): Lane.HASHING,
    ("POST", reverse("register")): Lane.HASHING,
    ("POST", reverse("reset-password")): Lane.HASHING,
    ("POST", reverse("password")): Lane.HASHING,
    ("DELETE", reverse("me")): Lane.HASHING,
}
# Of the admin: signing in, a new account, a new password.
HASHING_ENDINGS = ("/login/", "/add/", "/password_change/", "/password/")


def lane_of(method: str, path: str) -> Lane:
    if method == "POST" and settings.ADMIN_PATH and path.startswith(f"/{settings.ADMIN_PATH}"):
        return Lane.HASHING if path.endswith(HASHING_ENDINGS) else Lane.COMMON
    return LANES.get((method, path), Lane.COMMON)


application = Bridge(
    wsgi_application,
    threads=settings.THREADS,
    max_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    max_open=settings.NETWORK_REQUESTS,
    lane_of=lane_of,
    network_of=lambda environ: network(address_in(environ)),
    caller_of=caller_in,
    refuser=refuse,
    refusal_key=META_KEY,
)
