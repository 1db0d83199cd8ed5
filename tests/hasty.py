"""The service's own settings; it gives up clients that do not read within a second."""

from config.server import streams
from config.settings import *  # noqa: F403

streams.SEND_SECONDS = 1.0
