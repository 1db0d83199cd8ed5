"""The viewset of projects: that of every resource, with the action `move`."""

from tasks.place_api import move_of
from tasks.projects.resource import PROJECTS
from users.api.resources import ResourceViewSet


class ProjectViewSet(ResourceViewSet):
    move = move_of(PROJECTS)
