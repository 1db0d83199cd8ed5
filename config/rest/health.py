"""Is the process up, and can it serve? For load balancers and orchestrators."""

from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.errors import Unavailable
from config.rest.schema import also_answers


class MigrationsMissing(Unavailable):
    code = "migrations_missing"
    title = "The database is not migrated"


class HealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["ok"])


class LivenessView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()

    @extend_schema(
        operation_id="getLiveness", tags=["health"], responses=HealthSerializer, summary="Is the process up?"
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})


class ReadinessView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()

    @extend_schema(
        operation_id="getReadiness",
        tags=["health"],
        responses=HealthSerializer,
        extensions=also_answers((MigrationsMissing, "The database is away, or a migration is missing.")),
        summary="Does the database answer, with every migration applied?",
    )
    def get(self, request: Request) -> Response:
        missing = _known_migrations() - MigrationRecorder(connection).applied_migrations().keys()
        if missing:
            raise MigrationsMissing(
                f"Migrations are missing: {len(missing)}. The operator has to apply them (migrate)."
            )
        return Response({"status": "ok"})


@cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """(app, name) of each migration in the code, which does not change while the process runs."""
    return frozenset(MigrationLoader(None).disk_migrations or {})
