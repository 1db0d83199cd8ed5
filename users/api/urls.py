"""Addresses of accounts, below /api/."""

from django.urls import path

from users.api import views

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="register"),
    path("auth/login", views.LoginView.as_view(), name="login"),
    path("auth/refresh", views.RefreshView.as_view(), name="refresh"),
    path("users/me", views.MeView.as_view(), name="me"),
]
