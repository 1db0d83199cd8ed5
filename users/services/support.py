"""What staff does for an account: a confirmed address, notes, and invitations to open one."""

from django.core.exceptions import ValidationError
from django.utils import timezone

from config.database.transactions import retried_transaction
from config.errors import Invalid
from users import audit
from users.audit import Action
from users.models import AccountNote, User
from users.services.accounts import EmailTaken, locked
from users.text import canonical_email, validate_email
from users.tokens import mailed


@retried_transaction
def confirm_email(user: User) -> User:
    """Mark the address as verified without a mailed token; not of external accounts. Raises AccountGone."""
    account = locked(user)
    if account.email_verified_at is None and not account.is_external:
        account.email_verified_at = timezone.now()
        account.save(update_fields=["email_verified_at"])
        audit.record(Action.EMAIL_VERIFIED, account)
    return account


@retried_transaction
def add_note(user: User, author: User, text: str) -> AccountNote:
    """Raises AccountGone."""
    account = locked(user)
    note = AccountNote.objects.create(user=account, author=author, text=text, created_at=timezone.now())
    audit.record(Action.NOTE_ADDED, account, of=note)
    return note


@retried_transaction
def delete_note(user: User, note_id: int) -> bool:
    """Whether it was there."""
    note = AccountNote.objects.filter(user=user, pk=note_id).first()
    if note is None:
        return False
    audit.record(Action.NOTE_DELETED, user, of=note)
    note.delete()
    return True


def invite(email: str) -> str:
    """An invitation for one address, for `mail.send_invitation`. Raises Invalid and EmailTaken."""
    try:
        validate_email(email)
    except ValidationError as error:
        raise Invalid(f"{email!r} is not an e-mail address.", pointer="/email") from error
    if User.objects.filter(email_canonical=canonical_email(email)).exists():
        raise EmailTaken(f"{email} has an account already.", pointer="/email")
    audit.record(Action.INVITED, email=email)
    return mailed.make_invitation(email)
