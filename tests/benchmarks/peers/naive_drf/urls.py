from django.urls import path
from naive_drf.views import TaskViewSet

one = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
urlpatterns = [
    path("api/<int:user_id>/tasks", TaskViewSet.as_view({"get": "list", "post": "create"})),
    path("api/<int:user_id>/tasks/<int:pk>", TaskViewSet.as_view(one)),
]
