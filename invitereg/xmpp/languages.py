"""The language that a client would like to be answered in (RFC 6120 §4.7.4, §8.1.5)."""

from collections.abc import Sequence

from twisted.words.xish import domish

LANGUAGE = ("http://www.w3.org/XML/1998/namespace", "lang")
"""The attribute ``xml:lang``."""


def asked_languages(iq: domish.Element, stream_language: str = "") -> Sequence[str]:
    """Return the language of a request's payload, as one tag; no tag where nobody says any.

    It is the payload's own, else the IQ's, else the stream's.
    """
    payload = next(iq.elements(), iq)
    said = (payload.getAttribute(LANGUAGE), iq.getAttribute(LANGUAGE), stream_language)
    return [tag for tag in said if tag][:1]
