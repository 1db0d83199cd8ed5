"""`/api/schema`, the OpenAPI document as JSON or as YAML, and `/api/docs`, its pages."""

import threading
from contextlib import suppress
from functools import cache
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.exceptions import ErrorDetail
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from config.http.errors import InvalidHeader
from config.http.fields import ChoiceField
from config.http.json import CONTENT_TYPE as JSON
from config.http.json import to_json
from config.http.serializers import QuerySerializer
from config.http.views import APIView

YAML = "application/yaml"
# Media types of the two formats: YAML's is from RFC 9512, the others are older.
MEDIA_TYPES = {
    **dict.fromkeys([JSON, "application/vnd.oai.openapi+json", "application/openapi+json"], JSON),
    **dict.fromkeys([YAML, "application/vnd.oai.openapi", "application/vnd.oai.openapi+yaml"], YAML),
    **dict.fromkeys(["application/openapi+yaml", "application/x-yaml", "text/yaml", "text/x-yaml"], YAML),
}
MAX_ACCEPT = 1000  # characters


class SchemaQuery(QuerySerializer):
    format = ChoiceField(choices=["json", "yaml"], required=False)


class SchemaView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """As `format` asks, else the first known media type of `Accept`; JSON if there is none."""
        media_type = JSON
        if asked := SchemaQuery.validated(request).get("format"):
            media_type = f"application/{asked}"
        elif len(request.headers.get("Accept", "")) > MAX_ACCEPT:
            message = f"Send at most {MAX_ACCEPT:,} characters, or none for JSON."
            raise InvalidHeader({"Accept": [ErrorDetail(message, code="max_length")]})
        else:
            with suppress(ValueError):  # parameters that cannot be decoded
                names = [f"{each.main_type}/{each.sub_type}".lower() for each in request.accepted_types]
                media_type = next((name for name in names if name in MEDIA_TYPES), JSON)
        with _generating:
            document = _rendered(MEDIA_TYPES[media_type])
        return HttpResponse(document, content_type=media_type, headers={"Vary": "Accept"})


_generating = threading.Lock()  # lazy loading fails for two first requests at a time


@cache
def _document() -> Any:
    return SchemaGenerator().get_schema(public=True)


@cache
def _rendered(media_type: str) -> bytes:
    """Cached by each worker, as the document: both take longer than any other response."""
    return to_json(_document()) if media_type == JSON else bytes(OpenApiYamlRenderer().render(_document()))


class DocsView(APIView, SpectacularSwaggerSplitView):
    """Swagger UI; drf-spectacular leaves the rendering to DRF, which looks for a format first."""

    url_name = "schema"
    template_name = "config/swagger_ui.html"
    template_name_js = "config/swagger_ui.js"

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        page = super().get(request)
        return render(request._request, page.template_name, page.data, page.content_type)
