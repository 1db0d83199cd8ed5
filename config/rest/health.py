"""Is the process up, and can it serve? For load balancers and orchestrators."""

from django.core import checks
from django.db import DEFAULT_DB_ALIAS
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import migrated
from config.errors import Unavailable
from config.rest.schema import also_answers


class MigrationsMissing(Unavailable):
    code = "migrations_missing"
    title = "The database is not migrated"


class DatabaseUnfit(Unavailable):
    code = "database_unfit"
    title = "The database does not do its part"


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
        extensions=also_answers(
            (MigrationsMissing, "The database is away, a migration is missing, or row level security does not act.")
        ),
        summary="Does the database answer, with every migration applied and row level security active?",
    )
    def get(self, request: Request) -> Response:
        missing = migrated.missing()
        if missing:
            raise MigrationsMissing(
                f"Migrations are missing: {len(missing)}. The operator has to apply them (migrate)."
            )
        if checks.run_checks(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS]):
            raise DatabaseUnfit("The operator has to run the `check` command, which says what to do.")
        return Response({"status": "ok"})
