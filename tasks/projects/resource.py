"""The declaration of projects as a resource."""

from tasks.fields import PlaceSerializer
from tasks.projects import services
from tasks.projects.filters import ProjectDeletionQuery, ProjectListQuery
from tasks.projects.models import Project
from tasks.projects.serializers import ProjectSerializer
from users.resources.resource import Resource

PROJECTS = Resource(
    name="project",
    plural="projects",
    model=Project,
    serializer=ProjectSerializer,
    list_query=ProjectListQuery,
    delete_query=ProjectDeletionQuery,
    create=services.create_project,
    create_many=services.create_projects,
    update=services.update_project,
    delete=services.delete_project,
    restore=services.restore_project,
    delete_many=services.delete_projects,
    restore_many=services.restore_projects,
    text=("name", "description", "extra"),
    example={"name": "Kitchen", "color": "#3366cc"},
    icon="folder",
    actions={"move": (PlaceSerializer, services.move_project)},
    viewset="tasks.projects.api.ProjectViewSet",
)
