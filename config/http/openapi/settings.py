"""SPECTACULAR_SETTINGS: title, tags, hooks and Swagger UI of the OpenAPI document."""

from pathlib import Path

from config import VERSION

SPECTACULAR_SETTINGS = {
    "TITLE": "Tickbase",
    "VERSION": VERSION,
    "DESCRIPTION": (Path(__file__).resolve().parents[3] / "docs" / "openapi.md").read_text(),
    "CONTACT": {"name": "The operator of this server"},
    "LICENSE": {"name": "MIT", "identifier": "MIT"},
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": "/", "description": "The host that this document came from."}],
    "SCHEMA_PATH_PREFIX": "/api",
    "SERVE_AUTHENTICATION": [],
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": False,
    "SORT_OPERATION_PARAMETERS": False,
    # Docstrings are for people who read the code; `help_text` is for those who call the API.
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {"WebhookStatusEnum": "users.webhooks.models.STATUSES"},
    "TAGS": [
        {"name": "trash", "description": "What was deleted and can be restored."},
        {"name": "history", "description": "What has changed, and how to take it back."},
        {"name": "sync", "description": "A copy of all that is yours, and what has changed since."},
        {"name": "webhooks", "description": "Addresses of yours, to which what happens is sent."},
        {"name": "accounts", "description": "Sign-up, sign-in and the caller's own account."},
        {"name": "health", "description": "For load balancers and orchestrators."},
    ],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.http.openapi.hooks.inline_null",
        "config.http.openapi.hooks.close_objects",
        "config.http.openapi.hooks.declare_answers",
        "users.api.operations.describe_tags",
        "users.api.events.describe_events",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "persistAuthorization": True,
        "displayOperationId": True,
        "tryItOutEnabled": True,
    },
}
