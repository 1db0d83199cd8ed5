"""`manage.py new_epoch`: after the database was set back to an earlier moment."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from users.models import Epoch
from users.services import epochs


class Command(BaseCommand):
    help = (
        "After the database was set back to an earlier moment, by a point-in-time recovery, a snapshot, or a standby "
        "that lacked the last writes: let no ETag and no cursor that clients kept be taken for another state. "
        "Changes no data of users. `restore` does it by itself."
    )

    def handle(self, *args: Any, **options: Any) -> str:
        if Epoch._meta.db_table not in connection.introspection.table_names():  # it holds an older Tickbase's data
            return "`migrate` begins a new epoch, since this database had none."
        epochs.new_epoch()
        return (
            "A new epoch has begun: no ETag and no cursor that clients kept is taken for another state. "
            "They fetch their lists once more."
        )
