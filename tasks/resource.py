"""The declaration of tasks as a resource."""

from tasks import services
from tasks.filters import TaskListQuery
from tasks.models import Task
from tasks.serializers import TaskPlaceSerializer, TaskSerializer
from tasks.series_serializers import CompletingSerializer, SkippingSerializer
from users.resources.resource import Resource

TASKS = Resource(
    name="task",
    plural="tasks",
    model=Task,
    serializer=TaskSerializer,
    list_query=TaskListQuery,
    create=services.create_task,
    create_many=services.create_tasks,
    update=services.update_task,
    delete=services.delete_task,
    restore=services.restore_task,
    delete_many=services.delete_tasks,
    restore_many=services.restore_tasks,
    text=("title", "description", "tags", "extra"),
    example={"title": "Call the dentist", "priority": "high", "tags": ["health"], "due_date": "2026-12-01"},
    icon="task_alt",
    actions={
        "complete": (CompletingSerializer, services.complete_as_sent),
        "skip": (SkippingSerializer, services.skip_task),
        "move": (TaskPlaceSerializer, services.move_task),
    },
    viewset="tasks.api.TaskViewSet",
    routes="tasks.api.ROUTES",
    dashboard="tasks.dashboard.charts.context",
)
