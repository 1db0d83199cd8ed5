"""OPTIONS: which methods an address has."""

from rest_framework.metadata import BaseMetadata


class AllowOnly(BaseMetadata):
    """The `Allow` header says it (RFC 9110, section 9.3.7); shapes are in the OpenAPI document."""

    def determine_metadata(self, request: object, view: object) -> None:
        return None
