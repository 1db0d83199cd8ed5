"""Files of other to-do software: a module each, pure, from bytes to drafts and back.

A module is named after its format and has `read(data, zone)`, `matches(start, name)`, and `write(drafts, zone)` if
Tickbase writes the format. Every field of a file lands in a draft, in its `extra`, or is told in a note.
"""
