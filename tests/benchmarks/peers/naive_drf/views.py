from naive_drf.models import Task
from rest_framework import pagination, permissions, serializers, viewsets


class TaskPagination(pagination.PageNumberPagination):
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 100


class TaskSerializer(serializers.ModelSerializer):
    user_id = serializers.IntegerField(read_only=True)

    class Meta:
        model = Task
        fields = ["id", "user_id", "title", "description", "status", "created_at", "updated_at"]


class IsOwner(permissions.BasePermission):
    def has_permission(self, request, view):
        return view.kwargs["user_id"] == request.user.id


class TaskViewSet(viewsets.ModelViewSet):
    serializer_class = TaskSerializer
    permission_classes = [permissions.IsAuthenticated, IsOwner]
    pagination_class = TaskPagination

    def get_queryset(self):
        tasks = Task.objects.filter(user=self.request.user)
        if status := self.request.query_params.get("status"):
            tasks = tasks.filter(status=status)
        return tasks

    def perform_create(self, serializer):
        serializer.save(user=self.request.user)
