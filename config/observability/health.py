"""Liveness and readiness, for load balancers and orchestrators."""

import threading
import time
from typing import NamedTuple

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from config import VERSION
from config.database import migrations
from config.errors import Unavailable
from config.http.errors import is_outage, outage_of
from config.http.openapi.schema import also_answers
from config.http.views import APIView, Response
from config.operations import work
from config.server.bridge import DRAINING, Lane


class MigrationsMissing(Unavailable):
    code = "migrations_missing"
    title = "The database is not migrated"


class DatabaseUnfit(Unavailable):
    code = "database_unfit"
    title = "The database does not do its part"


class Stopping(Unavailable):
    code = "stopping"
    title = "The service stops"


KEPT_SECONDS = 1.0
RUNNING, MISSING = "running", "missing"


class State(NamedTuple):
    refusal: Unavailable | None
    worker: str  # of deferred work, which does not keep requests from being answered


class Readiness:
    """Cached readiness of this process: requests are unlimited, but the database is examined once a second at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # threads that waited for it share the result
        self._examined_at = -KEPT_SECONDS
        self._state = State(None, MISSING)

    def require(self) -> State:
        """Raises Unavailable."""
        with self._lock:
            if time.monotonic() - self._examined_at >= KEPT_SECONDS:
                self._state = _examine()
                self._examined_at = time.monotonic()
            state = self._state
        if state.refusal is not None:
            raise type(state.refusal)(state.refusal.detail)
        return state


def _examine() -> State:
    if (refusal := _refusal()) is not None:
        return State(refusal, MISSING)
    return State(None, RUNNING if work.is_alive(timezone.now(), work.last_seen()) else MISSING)


def _refusal() -> Unavailable | None:
    try:
        if missing := migrations.missing():
            return MigrationsMissing(
                f"Migrations are missing: {len(missing)}. The operator has to apply them (migrate)."
            )
        if checks.run_checks(tags=[checks.Tags.database], databases=[DEFAULT_DB_ALIAS]):
            return DatabaseUnfit("The operator has to run the `check` command, which says what to do.")
    except (DatabaseError, InterfaceError) as error:
        if not is_outage(error):
            raise
        return outage_of(error)
    return None


readiness = Readiness()


class HealthSerializer(serializers.Serializer):
    status = serializers.ChoiceField(["ok"])


class ReadinessSerializer(HealthSerializer):
    version = serializers.CharField(help_text="Of Tickbase.")
    worker = serializers.ChoiceField(
        [RUNNING, MISSING], help_text="Whether deferred work is done: mails, reminders, webhooks, prune."
    )


class LivenessView(APIView):
    lanes = {"GET": Lane.URGENT}
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()

    @extend_schema(
        operation_id="getLiveness",
        tags=["health"],
        responses=HealthSerializer,
        summary="Is the process up?",
        description="Asks nothing else, so it answers also while the database is away.",
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
        responses=ReadinessSerializer,
        extensions=also_answers(
            (
                MigrationsMissing,
                "The database is away, a migration is missing, row level security does not act, or the service stops.",
            )
        ),
        summary="Does the database answer, with every migration applied and row level security active?",
        description="Send requests here only while it answers 200; otherwise the problem says what is missing.",
    )
    def get(self, request: Request) -> Response:
        if DRAINING in request.META:
            raise Stopping("Send requests to another instance, or wait for the next start.")
        state = readiness.require()
        return Response({"status": "ok", "version": VERSION, "worker": state.worker})
