"""URLs of the second factor, beside those of the AdminSite."""

from django.contrib import admin
from django.urls import path

from users.admin import second_factor

app_name = "second_factor"
urlpatterns = [
    path("code/", second_factor.enter_code, name="code"),
    path("enrol/", second_factor.enrol, name="enrol"),
    # The way out of the site itself is behind the second factor.
    path("leave/", admin.site.logout, name="leave"),
]
