"""The file in the body of a request: raw, or as the only part of a form."""

import hashlib
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http.multipartparser import MultiPartParserError
from rest_framework.exceptions import ErrorDetail

from config.errors import Overloaded
from config.http.errors import BodyTooLarge, InvalidBody, UnreadableBody
from config.http.json import FORM
from config.http.views import Request
from config.values import storable

MAX_FILE = 20 * 1024 * 1024
MAX_BODY = MAX_FILE + 16 * 1024  # with the frame of a form
MAX_NAME = 255


class NotReadYet(Overloaded):
    """The server drops large bodies of callers whom it does not know by their token before a thread looks it up."""

    retry_after = 1


class Upload(NamedTuple):
    data: bytes
    name: str  # as the client says, without folders


class UploadRequest(Request):
    """A request whose body is a file; `data` is what an Idempotency-Key tells it by."""

    @cached_property
    def data(self) -> Any:
        return {"sha256": hashlib.sha256(self.upload.data).hexdigest(), "name": self.upload.name}

    @cached_property
    def upload(self) -> Upload:
        """Raises BodyTooLarge, NotReadYet, InvalidBody and UnreadableBody."""
        coding = self.META.get("HTTP_CONTENT_ENCODING", "")
        if coding.strip().lower() not in {"", "identity"}:
            raise UnreadableBody(coding, detail="Compressed bodies are not read; send it without Content-Encoding.")
        declared = self.META.get("CONTENT_LENGTH") or "0"
        length = int(declared) if declared.isdecimal() else 0
        if length > MAX_BODY:
            raise BodyTooLarge(f"A file has at most {MAX_FILE // 2**20} MiB; split it.")
        is_form = self.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() == FORM
        stream = self.META["wsgi.input"]
        if length and hasattr(stream, "getbuffer") and not stream.getbuffer().nbytes:
            raise NotReadYet("A large file is taken once your token is known; send it again.")
        upload = self._of_form() if is_form else Upload(self._request.read(length), "")
        if len(upload.data) > MAX_FILE:
            raise BodyTooLarge(f"A file has at most {MAX_FILE // 2**20} MiB; split it.")
        if not upload.data:
            raise _invalid("Nothing is in it; send the file.")
        return upload

    def _of_form(self) -> Upload:
        """Raises InvalidBody unless it has one file and nothing else."""
        form = self._request
        try:
            fields, files = form.POST, form.FILES
        except (MultiPartParserError, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent) as error:
            raise _invalid("This form cannot be read; send one file in it, or the file alone as the body.") from error
        sent = [each for name in files for each in files.getlist(name)]
        if fields or len(sent) != 1:
            raise _invalid("A form has one file and no other field; send the rest as parameters of the address.")
        (file,) = sent
        return Upload(file.read(), PurePosixPath(storable(file.name or "").replace("\\", "/")).name[:MAX_NAME])


def _invalid(message: str) -> InvalidBody:
    return InvalidBody({"non_field_errors": [ErrorDetail(message, code="invalid_file")]})
