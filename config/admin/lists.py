"""Lists of tables of any size: pages up to a bound, an estimate of how many rows there are, and filters."""

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.admin import SimpleListFilter
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import cached_property

MAX_LISTED = 10_000  # rows that can be paged to; more are only counted by estimate
LARGE = 100_000  # rows of a table that is neither sorted nor searched as a whole

# PostgreSQL expects a table's policy (config.database.isolation), which is an expression, to admit every second row.
_ADMITTED = 0.5


class BoundedPaginator(Paginator):
    """Pages of the first rows. To count all, or to skip a million of them, would read them."""

    template_name = "config/admin/pagination.html"  # unfold's hook

    @cached_property
    def count(self) -> int:
        return min(self._counted, MAX_LISTED)

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        if not hasattr(rows, "query"):  # a list, as the choices of an autocomplete
            return len(rows)
        counted: int = rows.order_by().values("pk")[: MAX_LISTED + 1].count()
        return counted

    @property
    def has_more(self) -> bool:
        return self._counted > MAX_LISTED

    @property
    def total(self) -> str:
        return f"about {self._estimate:,}" if self.has_more else f"{self.count:,}"

    @cached_property
    def _estimate(self) -> int:
        """In two digits, as the planner knows no better."""
        rows: Any = self.object_list
        [plan] = json.loads(rows.order_by().values("pk").explain(format="json"))
        expected = max(int(plan["Plan"]["Plan Rows"] / _ADMITTED), MAX_LISTED)
        return round(expected, 2 - len(str(expected)))

    @property
    def can_select_all(self) -> bool:
        """Whether an action takes as many."""
        return self.count <= settings.ADMIN_ACTION_ROWS


class ChoiceFilter(SimpleListFilter):
    """A filter of fixed choices."""

    # By value: its label, and which rows it leaves.
    narrowing: ClassVar[Mapping[str, tuple[str, Callable[[Any], Any]]]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, label) for value, (label, _) in self.narrowing.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.narrowing.get(self.value() or "")
        return chosen[1](queryset) if chosen else queryset


def is_large(model: type[Model]) -> bool:
    """By PostgreSQL's statistics, which `ANALYZE` renews."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table])
        [rows] = cursor.fetchone()
    return bool(rows > LARGE)
