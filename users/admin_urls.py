"""The pages of the admin that are not of its site."""

from django.urls import path

from users import admin_second_factor, admin_sign_in

app_name = "second_factor"
urlpatterns = [
    path("code/", admin_second_factor.enter_code, name="code"),
    path("enrol/", admin_second_factor.enrol, name="enrol"),
    # The way out of the site itself is behind the second factor.
    path("leave/", admin_sign_in.sign_out, name="leave"),
]
