"""Addresses of tasks, below /api/."""

from django.urls import path

from tasks.api.views import TaskViewSet

urlpatterns = [
    path("<str:user_id>/tasks", TaskViewSet.as_view({"get": "list", "post": "create"}), name="tasks"),
    path(
        "<str:user_id>/tasks/<str:task_id>",
        TaskViewSet.as_view({"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}),
        name="task",
    ),
    path(
        "<str:user_id>/tasks/<str:task_id>/complete",
        TaskViewSet.as_view({"patch": "complete"}),
        name="task-complete",
    ),
]
