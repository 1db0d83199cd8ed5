"""Batches that are as large as a body may be."""

import json
from typing import Any

from django.conf import settings

from users.sync.batch import MAX_STEPS


def fullest(members: dict[str, Any]) -> bytes:
    """As many creations of a task with these members as a body has room for, where bytes beyond ASCII count twice."""
    step = json.dumps({"op": "create", "type": "task", "body": {"title": "a", **members}}, ensure_ascii=False).encode()
    weight = len(step) + sum(byte > 127 for byte in step) + len(", ")
    steps = min(MAX_STEPS, (settings.DATA_UPLOAD_MAX_MEMORY_SIZE - 100) // weight)
    return b'{"operations": [' + b", ".join([step] * steps) + b"]}"
