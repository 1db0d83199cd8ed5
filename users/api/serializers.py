"""Serializers of accounts, sign-in and sessions, and of the log."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.http.fields import ChoiceField, InstantField, IntegerField, ListField, TextField, TimeField
from config.http.serializers import StrictSerializer
from config.values import MAX_BIGINT
from users.models import MAX_REMINDER_MINUTES, Channel, Kind, Session
from users.text import MAX_EMAIL, MAX_NAME, MAX_PASSWORD, validate_email, validate_timezone
from users.tokens.own import MAX_TOKEN

GOOD_PASSWORD = f"At least {settings.MIN_PASSWORD} characters; not a common one, and not like your name or address."
MAX_CODE = 1000
_EMAIL = "Cannot be changed here: `POST /api/users/me/email` does that."
_TYPED = "The address of the account; needed with a code of eight characters."
IANA = "An IANA time zone name, for example Asia/Karachi."


@extend_schema_field(OpenApiTypes.EMAIL)
class EmailField(TextField):
    """A deliverable e-mail address, stored as typed."""

    default_validators = [validate_email]

    def __init__(self) -> None:
        super().__init__(max_length=MAX_EMAIL)


class TimezoneField(TextField):
    """An IANA time zone name."""

    def to_internal_value(self, data: str) -> str:
        name: str = super().to_internal_value(data)
        try:
            validate_timezone(name)
        except ValidationError as error:
            raise serializers.ValidationError(error.message, code=error.code) from error
        return name


class PasswordField(TextField):
    is_for_people = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_PASSWORD, trim_whitespace=False, write_only=True, **kwargs)


# The password validators check the length, with their own message.
@extend_schema_field(
    {"type": "string", "format": "password", "minLength": settings.MIN_PASSWORD, "maxLength": MAX_PASSWORD}
)
class NewPasswordField(PasswordField):
    def __init__(self) -> None:
        super().__init__(help_text=GOOD_PASSWORD)


class ChannelsField(ListField):
    child = ChoiceField(choices=Channel.choices)

    def to_internal_value(self, data: Any) -> list[str]:
        return list(dict.fromkeys(super().to_internal_value(data)))


class UserSerializer(StrictSerializer):
    id = serializers.CharField(source="public_id", read_only=True)
    # Not an EmailField: empty if the external issuer sends no address.
    email = TextField(max_length=MAX_EMAIL, allow_blank=True, required=False, help_text=_EMAIL)
    email_verified = serializers.BooleanField(source="is_email_verified", read_only=True)
    name = TextField(max_length=MAX_NAME, allow_blank=True, required=False)
    timezone = TimezoneField(max_length=64, required=False, help_text=IANA)
    reminder_time = TimeField(required=False, help_text="From when a day that is due as a whole is reminded of.")
    reminder_channels = ChannelsField(
        max_length=len(Channel), required=False, help_text="How reminders are told; `mail` goes to a confirmed address."
    )
    default_reminder_minutes = IntegerField(
        min_value=0,
        max_value=MAX_REMINDER_MINUTES,
        allow_null=True,
        required=False,
        help_text="The reminder before the due of a new task that is sent without `reminders`; null: none.",
    )
    digest_time = TimeField(
        allow_null=True, required=False, help_text="Of a daily mail of what is due and overdue; null: none."
    )
    created_at = InstantField(read_only=True)


class RegisterSerializer(StrictSerializer):
    email = EmailField()
    password = NewPasswordField()
    name = TextField(max_length=MAX_NAME, allow_blank=True, required=False)
    timezone = TimezoneField(max_length=64, required=False, help_text=IANA)
    invitation = TextField(max_length=MAX_CODE, required=False, help_text="Where registration is by invitation.")


class LoginSerializer(StrictSerializer):
    email = TextField(max_length=MAX_EMAIL)
    password = PasswordField()


class RefreshSerializer(StrictSerializer):
    refresh = TextField(max_length=MAX_TOKEN)


class ChangePasswordSerializer(StrictSerializer):
    current_password = PasswordField()
    new_password = NewPasswordField()


class ForgotPasswordSerializer(StrictSerializer):
    email = TextField(max_length=MAX_EMAIL)


class VerifyEmailSerializer(StrictSerializer):
    token = TextField(max_length=MAX_CODE, help_text="From the mail: the long code, or the one of eight characters.")
    email = TextField(max_length=MAX_EMAIL, required=False, help_text=_TYPED)


class ResetPasswordSerializer(VerifyEmailSerializer):
    password = NewPasswordField()


class ChangeEmailSerializer(StrictSerializer):
    email = EmailField()
    password = PasswordField(required=False, help_text="Not needed within five minutes of signing in.")


class CloseAccountSerializer(StrictSerializer):
    password = PasswordField(required=False, help_text="Not needed within five minutes of signing in.")


class NothingSerializer(StrictSerializer):
    """No body, or an empty object."""


class SessionSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    user_agent = serializers.CharField()
    address = serializers.CharField(allow_null=True, help_text="That of the last refresh, at first of the sign-in.")
    created_at = InstantField(help_text="When you signed in.")
    last_used_at = InstantField(help_text="When its tokens were last refreshed.")
    expires_at = InstantField(help_text="When it ends, unless it is used before.")
    current = serializers.SerializerMethodField(help_text="Whether this request is part of it.")

    def get_current(self, session: Session) -> bool:
        current: Session | None = self.context["request"].user.grant.session
        return session == current


class SignedInSerializer(serializers.Serializer):
    user = UserSerializer()
    access = serializers.CharField()
    refresh = serializers.CharField()
    token_type = serializers.ChoiceField(["Bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds that the access token lives.")


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {}, "minItems": 2, "maxItems": 2},
    }
)
class DiffField(serializers.DictField):
    pass


class EntrySerializer(serializers.Serializer):
    version = serializers.IntegerField(help_text="The object's from then on.")
    operation = serializers.IntegerField(help_text="The number of what the request has done, which `undo` takes.")
    kind = serializers.ChoiceField(Kind.choices)
    type = serializers.CharField(help_text="The name of the object's resource.")
    object_id = serializers.IntegerField()
    at = InstantField()
    actor = serializers.CharField(help_text="`session:…`, `token:…`, `staff:…`, `command`, `worker` or `external`.")
    diff = DiffField(
        help_text="By member, its values before and after; of a new object, those that differ from the defaults. "
        "Empty once the object is erased."
    )
    undoes = serializers.IntegerField(allow_null=True, help_text="The operation that this one has taken back.")


class UndoSerializer(StrictSerializer):
    operation = IntegerField(
        min_value=1, max_value=MAX_BIGINT, required=False, help_text="By default your session's last one."
    )


class ChangedSerializer(serializers.Serializer):
    type = serializers.CharField()
    id = serializers.IntegerField()
    version = serializers.IntegerField()


class UndoneSerializer(serializers.Serializer):
    operation = serializers.IntegerField()
    changed = ChangedSerializer(many=True)
