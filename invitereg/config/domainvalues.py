"""The domains that keys take: in their normal form, or as a server spells its own."""

from typing import Annotated

from pydantic import AfterValidator

from invitereg.config.mistakes import quoted
from invitereg.model.names import disagreement, prepare_domain, spelled_like


def domain_name(text: str) -> str:
    """Return a domain's normal form, in U-labels after nameprep.

    Raises:
        ValueError: it is none, or others would take it for another; the text says so.
    """
    try:
        name = prepare_domain(text)
    except ValueError:
        name = ""
    if not all(name.split(".")):
        raise ValueError(f"{quoted(text)} is no domain name, such as example.com")
    reason = disagreement(text)
    if reason is not None:
        raise ValueError(
            f"{quoted(text)} is not the same domain for every server and client: {reason}. "
            "Choose another name"
        )
    return name


def host_name(text: str) -> str:
    """Return a domain in U-labels or A-labels, as ``text`` has it; raises as `domain_name`.

    That is how a server spells its own name, and the only one that it may know.
    """
    return spelled_like(domain_name(text), text)


DomainName = Annotated[str, AfterValidator(domain_name)]
HostName = Annotated[str, AfterValidator(host_name)]
