"""Views of sign-in and of the caller's own account."""

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
    "VerificationView",
    "VerifyEmailView",
]
