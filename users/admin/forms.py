"""Forms of the admin: sign-in, accounts and passwords."""

from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from unfold.forms import AdminOwnPasswordChangeForm, AdminPasswordChangeForm, AuthenticationForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget

from config.admin.base import ServiceForm
from users import audit, services
from users.audit import Action
from users.models import User
from users.text import MAX_EMAIL, MAX_PASSWORD, canonical_email, validate_email


class SignInForm(AuthenticationForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].validators.append(MaxLengthValidator(MAX_EMAIL))
        _limit(self.fields["password"])

    def clean(self) -> Any:
        try:
            return super().clean()
        except ValidationError:
            email = self.cleaned_data.get("username", "")
            user = User.objects.filter(email_canonical=canonical_email(email)).first()
            audit.failed_sign_in(user, email, admin=True)
            raise


class UniqueEmail(ServiceForm):
    def clean_email(self) -> str:
        """The service validates again; here the error is shown together with those of other fields.

        A stored address stays valid even if it would be refused today: else its account could not be changed at all.
        """
        email: str = self.cleaned_data["email"]
        if email != self.instance.email:
            validate_email(email)
        others = User.objects.exclude(pk=self.instance.pk)
        if others.filter(email_canonical=canonical_email(email)).exists():
            raise ValidationError("An account with this e-mail address exists.", code="email_taken")
        return email


class RegistrationForm(UniqueEmail, BaseUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name", "timezone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("password1", "password2"):
            self.fields[name].widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
        _limit(self.fields["password1"])

    def set_password_and_save(self, user: User, *args: Any, **kwargs: Any) -> User:
        """Nothing, as `services.register` does both."""
        return user


CONFIRMED, UNCONFIRMED = "yes", "no"


class AccountForm(UniqueEmail, UserChangeForm):
    password = None  # type: ignore[assignment]  # no part of the hash is ever shown
    is_verified = forms.ChoiceField(
        label="Is a new address confirmed?",
        required=False,
        choices=[
            ("", "The address stays"),
            (CONFIRMED, "Yes: its owner has shown that they read it"),
            (UNCONFIRMED, "No: they have to confirm it"),
        ],
        widget=UnfoldAdminSelectWidget(),
    )

    class Meta:
        model = User
        fields = "__all__"  # UserAdmin.fieldsets choose

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        is_new, answer = "email" in self.changed_data, cleaned.get("is_verified")
        if "is_verified" in self.fields and is_new != bool(answer):
            said = "Say whether the new address is confirmed." if is_new else "The address is the same."
            self.add_error("is_verified", ValidationError(said, code="email_unchanged"))
        return cleaned


class PasswordForm(AdminPasswordChangeForm):
    """Sets the password of another account, or makes it unusable."""

    user: User

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        _limit(self.fields["password1"])

    def save(self, commit: bool = True) -> User:
        usable = self.cleaned_data["set_usable_password"]
        user = services.set_password(self.user, self.cleaned_data["password1"] if usable else None)
        self.user = user  # the view keeps the session of this user alive, if it is their own password
        return user


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """Changes the own password, with the old one."""

    user: User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _limit(self.fields["old_password"])
        _limit(self.fields["new_password1"])

    def clean_old_password(self) -> Any:
        try:
            return super().clean_old_password()
        except ValidationError:
            audit.record(Action.PASSWORD_REFUSED, self.user, admin=True)
            raise

    def save(self, commit: bool = True) -> User:
        user = services.set_password(self.user, self.cleaned_data["new_password1"])
        self.user = user  # as above
        return user


def _limit(field: forms.Field) -> None:
    """The maximum length of a password at sign-in."""
    field.validators.append(MaxLengthValidator(MAX_PASSWORD))
