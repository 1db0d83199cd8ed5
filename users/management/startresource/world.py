"""What a spec meets: the resources that are registered, the words of their paths, and the labels of apps."""

import re
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader

from users.management.startresource.spec import Spec, Target, World
from users.resources.resource import Resource, registered

_OF_A_USER = re.compile(r"api/<str:user_id>/([a-z_]+)")


def world(without: str = "") -> World:
    """Without a resource that is about to be written anew."""
    kept = [each for each in registered() if each.name != without]
    labels = {each.label for each in apps.get_app_configs()}
    paths = {
        found[1]
        for pattern in import_module(settings.ROOT_URLCONF).urlpatterns
        if (found := _OF_A_USER.match(str(pattern.pattern)))
    }
    own = {each.plural for each in registered() if each.name == without}
    targets = {each.name: _target(each) for each in kept}
    return World(targets, paths - own, labels - own)


def _target(resource: Resource) -> Target:
    opts = resource.model._meta
    requires: list[Any] = [each.related_model for each in resource.model.references() if not each.null]
    return Target(
        name=resource.name,
        package=resource.model.__module__.removesuffix(".models"),
        model=opts.label,
        table=opts.db_table,
        requires=tuple(model.type_name() for model in requires),
        relations={
            each.name: _target(other)
            for each in resource.model.references()
            if not each.null
            for other in registered()
            if other.model is each.related_model
        },
        plural=resource.plural,
        least={
            name: resource.example[name]
            for name, member in resource.serializer._declared_fields.items()
            if member.required and name in resource.example
        },
    )


def dependencies(spec: Spec) -> dict[str, Any]:
    """What the first migration depends on: the last one of each app that it refers to."""
    leaves = dict(MigrationLoader(None).graph.leaf_nodes())
    targets = (*(each.target for each in spec.relations), *(each.target for each in spec.many))
    labels = {each.model.split(".")[0] for each in targets if each.package}
    return {"users_migration": leaves["users"], "dependencies": sorted((each, leaves[each]) for each in labels)}
