"""The app of the process, for its commands, table and templates; and Django's admin with our AdminSite."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ConfigConfig(AppConfig):
    name = "config"


class AdminConfig(admin_apps.AdminConfig):
    default = False  # of this module; INSTALLED_APPS names it
    default_site = "users.admin.site.AdminSite"  # the process imports no app
