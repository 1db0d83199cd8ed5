"""Views of sign-in, of the caller's own account, its tokens, of the trash, of the log and of the stream."""

from users.api.views.account import (
    EmailView,
    ExportView,
    MeView,
    PasswordView,
    SessionsView,
    SessionView,
    VerificationView,
)
from users.api.views.auth import (
    ForgotPasswordView,
    LoginView,
    LogoutView,
    RefreshView,
    RegisterView,
    ResetPasswordView,
    VerifyEmailView,
)
from users.api.views.batch import BatchView
from users.api.views.history import HistoryView, UndoView
from users.api.views.stream import StreamView, TicketsView
from users.api.views.sync import ChangesView
from users.api.views.tokens import TokensView, TokenView
from users.api.views.trash import TrashView

__all__ = [
    "BatchView",
    "ChangesView",
    "EmailView",
    "ExportView",
    "ForgotPasswordView",
    "HistoryView",
    "LoginView",
    "LogoutView",
    "MeView",
    "PasswordView",
    "RefreshView",
    "RegisterView",
    "ResetPasswordView",
    "SessionView",
    "SessionsView",
    "StreamView",
    "TicketsView",
    "TokenView",
    "TokensView",
    "TrashView",
    "UndoView",
    "VerificationView",
    "VerifyEmailView",
]
