"""The shapes of accounts and sign-in."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from config.rest.fields import EmailField, InstantField, TextField
from config.rest.serializers import StrictSerializer
from users.models import validate_timezone
from users.services import MAX_PASSWORD

IANA = "An IANA time zone name, for example Asia/Karachi."


class TimezoneField(TextField):
    """An IANA name."""

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


class UserSerializer(StrictSerializer):
    id = serializers.CharField(source="public_id", read_only=True)
    email = EmailField(max_length=254, required=False, help_text="Cannot be changed here.")
    name = TextField(max_length=100, allow_blank=True, required=False)
    timezone = TimezoneField(max_length=64, required=False, help_text=IANA)
    created_at = InstantField(read_only=True)


class RegisterSerializer(StrictSerializer):
    email = EmailField(max_length=254)
    password = PasswordField(help_text="At least 12 characters; not a common one, and not like your name or address.")
    name = TextField(max_length=100, allow_blank=True, required=False)
    timezone = TimezoneField(max_length=64, required=False, help_text=IANA)


class LoginSerializer(StrictSerializer):
    email = TextField(max_length=254)
    password = PasswordField()


class RefreshSerializer(StrictSerializer):
    refresh = TextField(max_length=4096)


class SignedInSerializer(serializers.Serializer):
    user = UserSerializer()
    access = serializers.CharField()
    refresh = serializers.CharField()
    token_type = serializers.ChoiceField(["Bearer"])
    expires_in = serializers.IntegerField(help_text="Seconds that the access token lives.")
