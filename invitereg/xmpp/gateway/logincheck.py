"""Find out which clients an upstream server would not let in through a gateway.

A login that is bound to one TLS connection (RFC 5802 §6, XEP-0440), and a hash over what the
server has offered on it (XEP-0474), do not pass. So a server must not insist on either. It is
asked by the first steps of a login, with the flag of a client that knows channel binding.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from twisted.words.xish import domish

from invitereg.model.namespaces import NS_SASL
from invitereg.runtime import IReactor
from invitereg.xmpp.gateway.dialogue import Dialogue, open_dialogue
from invitereg.xmpp.gateway.features import channel_bound, mechanisms, offered_mechanisms
from invitereg.xmpp.gateway.settings import Upstream

MOST_MECHANISMS = 20
"""Mechanisms of a server, which it should not offer, that are named at most."""
MOST_NAMES = 3
"""Usernames that are tried at most: a login that fails counts at the server."""
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")
"""The name of a mechanism (RFC 4422 §3.1). No client knows another one."""
_HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
_GS2 = "y,,"  # RFC 5802 §7: the client could bind, and was not offered it.
_PROSODY = (
    "Prosody: c2s_require_encryption = false and allow_unencrypted_plain_auth = true, on a "
    "port that this machine alone reaches, and here tls: none in c2s.upstream"
)
_UNSIGNED = "disable_sasl_scram_downgrade_protection: true"
_OLD_EJABBERD = (
    "ejabberd 24.12: at its listener, which this machine alone is to reach, "
    "allow_unencrypted_sasl2: true and no starttls_required, and here tls: none in "
    "c2s.upstream; or update it to 26.07"
)
_REFUSES_FLAG = (
    "does not let in clients that know channel binding, which cannot pass a gateway. "
    f"{_PROSODY}"
)
_REFUSES_PROOF = (
    "does not let in clients that know channel binding, which cannot pass a gateway. "
    f"{_OLD_EJABBERD}"
)
_SIGNS = (
    "signs the channel bindings that it offers (XEP-0474), which cannot pass a gateway: "
    f"clients that check that cannot log in. ejabberd: {_UNSIGNED}. Prosody: remove sasl_ssdp "
    "from modules_enabled"
)


def unwanted_mechanisms(features: domish.Element) -> str | None:
    """Return the mechanisms that a server is not to offer, for `switch_off`; or None."""
    found = list(filter(_MECHANISM.fullmatch, dict.fromkeys(channel_bound(features))))
    return ", ".join(found[:MOST_MECHANISMS]) or None


def switch_off(mechanisms: str) -> str:
    """Return the lines of a server's configuration that let it offer mechanisms no more."""
    return (
        f"clients that know them may take that for an attack. {_PROSODY}. ejabberd: "
        f"disable_sasl_mechanisms: [{mechanisms}], and from 26.07 on {_UNSIGNED}. "
        f"{_OLD_EJABBERD}"
    )


@dataclass(frozen=True, slots=True)
class LoginProblems:
    """The reasons why clients cannot log in to a server, each with what to change.

    Attributes:
        faults: clients were seen to be kept out.
        warnings: they may be.
    """

    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _ServerAnswer(Enum):
    """The answers of a server to a client that knows channel binding, and is offered none."""

    REFUSES_FLAG = "as soon as it says so"
    REFUSES_START = "as soon as it says so, where mechanisms with channel binding are offered"
    REFUSES_PROOF = "at the end of its login"
    LETS_IN = "as any other client"
    SIGNS = "as any other client, unless that checks what is signed"
    UNKNOWN = "nobody knows, for want of an account"


async def login_problems(
    upstream: Upstream, usernames: Iterable[str], reactor: IReactor
) -> LoginProblems:
    """Begin logins at a server as clients would through the gateway.

    Args:
        upstream: the server.
        usernames: accounts that may be there; a server tells more about one that is.
        reactor: Twisted's.

    Raises:
        UpstreamFailure: it cannot be asked.
    """
    dialogue = await open_dialogue(upstream, reactor)
    try:
        answer = await _answer(dialogue, usernames)
    finally:
        dialogue.close()
    return _problems(answer, unwanted_mechanisms(dialogue.features))


def _problems(answer: _ServerAnswer, unwanted: str | None) -> LoginProblems:
    # What ends one of them ends those that stand below it.
    if answer is _ServerAnswer.REFUSES_FLAG:
        return LoginProblems((_REFUSES_FLAG,))
    if answer is _ServerAnswer.REFUSES_PROOF:
        return LoginProblems((_REFUSES_PROOF,))
    if unwanted is None:
        return LoginProblems((_SIGNS,) if answer is _ServerAnswer.SIGNS else ())
    text = f"offers {unwanted}, which cannot pass a gateway; {switch_off(unwanted)}"
    if answer in (_ServerAnswer.REFUSES_START, _ServerAnswer.SIGNS):
        return LoginProblems((text,))
    return LoginProblems(warnings=(text,))


async def _answer(dialogue: Dialogue, usernames: Iterable[str]) -> _ServerAnswer:
    mechanism = next((m for m in mechanisms(dialogue.features) if m in _HASHES), None)
    if mechanism is None:
        return _ServerAnswer.UNKNOWN
    return await _ScramAttempt(dialogue, mechanism).answer(usernames)


class _ScramAttempt:
    """Logins by SCRAM (RFC 5802) that are begun, and never succeed."""

    def __init__(self, dialogue: Dialogue, mechanism: str) -> None:
        self._dialogue = dialogue
        self._mechanism = mechanism

    async def answer(self, usernames: Iterable[str]) -> _ServerAnswer:
        """Begin a login with each name until the server says enough; see `login_problems`."""
        # A server that refuses the flag does so for names that nobody has.
        names = [*usernames][:MOST_NAMES] or [f"invitereg-check-{secrets.token_hex(8)}"]
        for name in names:
            answer = await self._begin(name)
            if answer is None:
                break
            if answer.name == "challenge":
                return await self._challenged(_decoded(answer))
            if any(True for _ in answer.elements(NS_SASL, "malformed-request")):
                return _ServerAnswer.REFUSES_FLAG
            if _is_about_binding(answer):
                return _ServerAnswer.REFUSES_START
        return _ServerAnswer.UNKNOWN

    async def _begin(self, username: str) -> domish.Element | None:
        name = username.replace("=", "=3D").replace(",", "=2C")
        first = f"{_GS2}n={name},r={secrets.token_hex(16)}"
        return await self._say("auth", first, f" mechanism='{self._mechanism}'")

    async def _challenged(self, challenge: str) -> _ServerAnswer:
        said = dict(part.split("=", 1) for part in challenge.split(",") if "=" in part)
        if await self._refuses_proof(said.get("r", "")):
            return _ServerAnswer.REFUSES_PROOF
        seen = self._hash_of_seen()
        return _ServerAnswer.LETS_IN if said.get("h", seen) == seen else _ServerAnswer.SIGNS

    async def _refuses_proof(self, nonce: str) -> bool:
        # The proof is of no password. A server looks at what is bound before that.
        binding = base64.b64encode(_GS2.encode()).decode()
        length = hashlib.new(_HASHES[self._mechanism]).digest_size
        proof = base64.b64encode(bytes(length)).decode()
        answer = await self._say("response", f"c={binding},r={nonce},p={proof}")
        return answer is not None and _is_about_binding(answer)

    def _hash_of_seen(self) -> str:
        """Return the hash that a client makes of what it is offered (XEP-0474)."""
        seen = "\x1e".join(sorted(offered_mechanisms(self._dialogue.features)))
        digest = hashlib.new(_HASHES[self._mechanism], seen.encode()).digest()
        return base64.b64encode(digest).decode()

    async def _say(self, name: str, text: str, attributes: str = "") -> domish.Element | None:
        data = base64.b64encode(text.encode()).decode()
        element = f"<{name} xmlns='{NS_SASL}'{attributes}>{data}</{name}>"
        return await self._dialogue.ask(element.encode())


def _decoded(element: domish.Element) -> str:
    try:
        return base64.b64decode(str(element)).decode(errors="replace")
    except ValueError:  # no base64, or letters beyond ASCII
        return ""


def _is_about_binding(failure: domish.Element) -> bool:
    texts = (str(text) for text in failure.elements(NS_SASL, "text"))
    return "channel binding" in " ".join(texts).lower()
