"""URLs of resources and of accounts."""

from django.urls import path

from users.api import resources, views
from users.api.views import rxdb

urlpatterns = [
    *resources.urlpatterns(),  # first, as they are requested most
    *rxdb.urlpatterns(),
    path("api/<str:user_id>/trash", views.TrashView.as_view(), name="trash"),
    path("api/<str:user_id>/history", views.HistoryView.as_view(), name="history"),
    path("api/<str:user_id>/batch", views.BatchView.as_view(), name="batch"),
    path("api/<str:user_id>/undo", views.UndoView.as_view(), name="undo"),
    path("api/<str:user_id>/changes", views.ChangesView.as_view(), name="changes"),
    path("api/<str:user_id>/stream", views.StreamView.as_view(), name="stream"),
    path("api/<str:user_id>/stream/tickets", views.TicketsView.as_view(), name="stream-tickets"),
    path("api/auth/register", views.RegisterView.as_view(), name="register"),
    path("api/auth/login", views.LoginView.as_view(), name="login"),
    path("api/auth/refresh", views.RefreshView.as_view(), name="refresh"),
    path("api/auth/logout", views.LogoutView.as_view(), name="logout"),
    path("api/auth/forgot-password", views.ForgotPasswordView.as_view(), name="forgot-password"),
    path("api/auth/reset-password", views.ResetPasswordView.as_view(), name="reset-password"),
    path("api/auth/verify-email", views.VerifyEmailView.as_view(), name="verify-email"),
    path("api/users/me", views.MeView.as_view(), name="me"),
    path("api/users/me/password", views.PasswordView.as_view(), name="password"),
    path("api/users/me/email", views.EmailView.as_view(), name="email"),
    path("api/users/me/verification", views.VerificationView.as_view(), name="verification"),
    path("api/users/me/sessions", views.SessionsView.as_view(), name="sessions"),
    path("api/users/me/sessions/<str:session_id>", views.SessionView.as_view(), name="session"),
    path("api/users/me/tokens", views.TokensView.as_view(), name="tokens"),
    path("api/users/me/tokens/<str:token_id>", views.TokenView.as_view(), name="token"),
    path("api/users/me/export", views.ExportView.as_view(), name="export"),
]
