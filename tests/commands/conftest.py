"""The Redis that one of the commands asks."""

from tests.config.conftest import redis

__all__ = ["redis"]
