"""Views of sign-in, of the caller's own account, and of the trash."""

from users.api.views.account import ExportView, MeView, PasswordView, SessionsView, SessionView, VerificationView
from users.api.views.auth import (
    ForgotPasswordView,
    LoginView,
    LogoutView,
    RefreshView,
    RegisterView,
    ResetPasswordView,
    VerifyEmailView,
)
from users.api.views.trash import TrashView

__all__ = [
    "ExportView",
    "ForgotPasswordView",
    "LoginView",
    "LogoutView",
    "MeView",
    "PasswordView",
    "RefreshView",
    "RegisterView",
    "ResetPasswordView",
    "SessionView",
    "SessionsView",
    "TrashView",
    "VerificationView",
    "VerifyEmailView",
]
