"""`manage.py seed_demo`: demo accounts with projects and tasks, to try out, search and measure."""

import datetime as dt
import random
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from functools import partial
from itertools import chain, cycle, islice
from typing import Any, TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from config.errors import DomainError
from config.operations.console import Advance, progress, whole_number
from tasks.demo import bulk
from tasks.demo.content import LANGUAGES, Author
from users.models import User
from users.services import demo

PASSWORD = "correct horse battery"
BATCH = 10_000  # tasks of a transaction
THREADS = 2
DAYS = 180  # since the oldest account was made

Item = TypeVar("Item")


class Command(BaseCommand):
    help = (
        "Make verified accounts demo1@example.com, demo2@example.com and so on, each with projects and tasks in one of "
        f"{len(LANGUAGES)} languages. A second run adds more."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--users", type=whole_number(1, 100_000), default=8, help="how many (default %(default)s)")
        parser.add_argument(
            "--tasks", type=whole_number(0, 10_000_000), default=100, help="of each of them (default %(default)s)"
        )
        parser.add_argument("--password", help=f"of all of them; default, but not in production: {PASSWORD!r}")

    def handle(self, *args: Any, users: int, tasks: int, password: str | None, **options: Any) -> None:
        if password is None and settings.PRODUCTION:
            raise CommandError("Everybody knows the default password; choose one with --password.")
        now, dice = timezone.now(), random.Random("tickbase")
        people = [
            demo.Person(language.person, language.timezone, now - DAYS * dt.timedelta(days=dice.random()))
            for language in islice(cycle(LANGUAGES), users)
        ]
        try:
            made = demo.open_demo_accounts(people, password or PASSWORD)
            seconds = _fill(made, tasks)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"Made {users:,} accounts, {made[0].email} to {made[-1].email}, and {users * tasks:,} tasks")
        self.stdout.write(f"in {seconds:.1f} s, {users * tasks / seconds:,.0f} tasks a second.")
        self.stdout.write(f"Password: {password or PASSWORD}" if password is None else "Password: as you said")


def _fill(users: list[User], count: int) -> float:
    """Store tasks, and return the seconds. While PostgreSQL stores one batch, another thread makes the next one."""
    started = time.perf_counter()
    now = timezone.now()
    authors = cycle([Author(language, now) for language in LANGUAGES])
    jobs = iter(list(zip(users, authors, strict=False)))
    with progress("tasks", len(users) * count) as advance, ThreadPoolExecutor(THREADS) as pool:
        store = partial(_store, count=count, advance=advance)
        pending = [pool.submit(copy_context().run, store, job) for job in _slices(jobs, max(1, BATCH // max(1, count)))]
        for each in as_completed(pending):
            each.result()
    bulk.vacuum()
    return time.perf_counter() - started


def _store(authors: list[tuple[User, Author]], count: int, advance: Advance) -> None:
    """One thread stores all tasks of a user, so that the oldest get the lowest ids."""
    try:
        projects = {user: author.projects(user) for user, author in authors}
        bulk.create_rows([*chain.from_iterable(projects.values())])
        tasks = chain.from_iterable(author.tasks(user, count, projects[user]) for user, author in authors)
        for batch in _slices(tasks, BATCH):
            bulk.create_rows(batch)
            advance(len(batch))
    finally:
        connection.close()


def _slices(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while some := list(islice(items, size)):
        yield some
