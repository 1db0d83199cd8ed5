"""URLs of resources and of accounts, below /api/."""

from django.urls import path

from users.api import resources, views

urlpatterns = [
    *resources.urlpatterns(),  # first, as they are requested most
    path("auth/register", views.RegisterView.as_view(), name="register"),
    path("auth/login", views.LoginView.as_view(), name="login"),
    path("auth/refresh", views.RefreshView.as_view(), name="refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="logout"),
    path("auth/forgot-password", views.ForgotPasswordView.as_view(), name="forgot-password"),
    path("auth/reset-password", views.ResetPasswordView.as_view(), name="reset-password"),
    path("auth/verify-email", views.VerifyEmailView.as_view(), name="verify-email"),
    path("users/me", views.MeView.as_view(), name="me"),
    path("users/me/password", views.PasswordView.as_view(), name="password"),
    path("users/me/verification", views.VerificationView.as_view(), name="verification"),
    path("users/me/sessions", views.SessionsView.as_view(), name="sessions"),
    path("users/me/sessions/<str:session_id>", views.SessionView.as_view(), name="session"),
    path("users/me/export", views.ExportView.as_view(), name="export"),
]
