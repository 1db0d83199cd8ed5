"""Removal of tombstones, under the lock of their feed, whose floor rises to what is gone."""

from config.database.transactions import retried_transaction
from users.models import Feed
from users.resources import feed, log
from users.resources.models import OwnedModel
from users.services import pruning
from users.tokens.callers import Actor

MOST = 1000  # tombstones that one write removes


@retried_transaction
def make_room(user: Actor, model: type[OwnedModel], most: int) -> None:
    """Delete the user's oldest tombstones, a hundredth of the limit or what exceeds it, when they have reached it.

    Nobody can erase these later, so their content leaves the log and stored answers as well. Then recount the rows: so
    writes that bypassed the counters (by hand, or by an older version during an upgrade) cannot block the user.
    """
    locked = feed.lock_existing(user.pk)
    if locked is None:
        return  # the account was deleted
    rows = model.objects.for_user(user)
    excess = rows.count() - 2 * most  # after the limit was lowered
    batch = min(max(1, most // 100, excess + 1), MOST)
    oldest = list(rows.deleted().order_by("version").values_list("pk", "version")[:batch])
    if oldest:
        pks = [pk for pk, _ in oldest]
        feed.raise_floor(locked, oldest[-1][1])
        log.erase(user, model.type_name(), pks)
        pruning.forget_answers(user.pk, pks)
        delete(model, locked, pks)
    if model.is_counted:
        Feed.objects.filter(pk=user.pk).update(live=rows.visible().count(), stored=rows.count())


def delete(model: type[OwnedModel], locked: Feed, pks: list[int]) -> int:
    removed: int = model.objects.filter(pk__in=pks).delete()[0]
    if model.is_counted:
        locked.stored -= removed
        locked.save(update_fields=["stored"])
    return removed
