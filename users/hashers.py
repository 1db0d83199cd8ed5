"""The password hasher, with the parameters that OWASP recommends."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class OWASPArgon2PasswordHasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane; Django's defaults are 100 MiB and eight lanes.

    Hashes of before are replaced when their owners sign in. Until then, a refused sign-in to one of those accounts
    takes longer than any other: what costs more than today's parameters cannot be made to cost less.
    """

    memory_cost = 19 * 1024  # KiB
    parallelism = 1
