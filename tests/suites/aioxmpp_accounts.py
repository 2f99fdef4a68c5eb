"""Accounts for aioxmpp's end-to-end tests; its pytest imports this, not ours."""

from typing import Any

from aioxmpp.e2etest.provision import StaticPasswordProvisioner
from aioxmpp.ping import ping


class SettledProvisioner(StaticPasswordProvisioner):  # type: ignore[misc]
    """Gives out clients whose presence the server has made known.

    A request reaches a contact's client once that has announced itself (RFC 6121 §8.5.3.1);
    the tests ask as soon as its presence was sent.
    """

    async def get_connected_client(self, *args: Any, **options: Any) -> Any:
        """See the base class; the answer to a ping comes after all that was sent before."""
        client = await super().get_connected_client(*args, **options)
        await ping(client, client.local_jid.replace(localpart=None, resource=None))
        return client
