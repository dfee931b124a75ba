"""The real az beside Poolwright: finding or installing it, and registering it to the service.

`installation` yields an az that is new enough, `configuration` a directory in which that az is
logged in to the service and carries the extension of `extension/`. `options` says which options the commands take.

Invariant: the user's own az is never changed. Its configuration directory is neither read nor
written, nothing is installed into its Python, and what is private to Poolwright lies in the cache
and data directories.
"""


class AzError(Exception):
    """Something about az that its user can act on; the message says how."""
