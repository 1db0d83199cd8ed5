"""The ASGI entry point, which `manage.py serve` runs under granian."""

from django.conf import settings
from django.urls import reverse

from config.bridge import Bridge
from config.rest.refusals import META_KEY
from config.wsgi import application as wsgi_application

application = Bridge(
    wsgi_application,
    threads=settings.THREADS,
    max_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
    urgent={reverse("healthz")},
    refusal_key=META_KEY,
)
