"""The ASGI entry point, for hosts that only speak ASGI. Prefer config.wsgi: the views are synchronous."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()
