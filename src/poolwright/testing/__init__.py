"""Poolwright in tests: a service of their own, ready in seconds, gone afterwards.

    with poolwright.testing.service(seed={...}) as service:
        ...  # service.url, service.environment, service.client, service.put_pool(...)

`poolwright.testing.plugin` makes fixtures of it, which pytest finds by itself where Poolwright is installed.

Invariant: importing this costs next to nothing; a plugin is imported by every run of pytest.
"""

from poolwright.testing.process import Service, ServiceEnded, service

__all__ = ["Service", "ServiceEnded", "service"]
