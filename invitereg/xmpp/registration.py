"""The registration form that is shown to clients, and what they submit (XEP-0077).

https://xmpp.org/extensions/xep-0077.html
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish
from wokkel.data_form import NS_X_DATA, Field, Form

from invitereg.errors import RegistrationClosed
from invitereg.model.fields import FIELD_LABELS
from invitereg.model.invites import Invite, Kind
from invitereg.model.namespaces import NS_CLIENT, NS_OOB, NS_PREAUTH, NS_REGISTER
from invitereg.policy.texts import Translate, password_rule
from invitereg.policy.values import Domain, Origin, Policy
from invitereg.translations import N_, SOURCE_LANGUAGE, chosen_language, translator
from invitereg.usecases.registrar import Grant, Submission
from invitereg.xmpp.stanzas import LANGUAGE, is_request

_BY_INVITATION = N_("You need an invitation to register here: see the web page.")
_NEW_PASSWORD = N_("Choose a new password.")
OLD_PASSWORD = "old_password"  # noqa: S105 - a field's name


def is_about_registration(element: domish.Element) -> bool:
    """Return whether an element before login is a request of XEP-0445 or XEP-0077."""
    if (element.uri, element.name) != (NS_CLIENT, "iq") or not is_request(element):
        return False
    (payload,) = element.elements()
    return (payload.uri, payload.name) in ((NS_PREAUTH, "preauth"), (NS_REGISTER, "query"))


@dataclass(frozen=True, slots=True)
class RegistrationForm:
    """A registration form, written both as legacy fields and as a data form.

    Attributes:
        instructions: what to do, in English or in the operator's words.
        fields: whether each is required, by name; username and password are not among them.
        policy: of the domain, for the rules about passwords.
        username: the name that the invite fixes, shown in the form; else None.
        redirect: a page that says how to register, in place of all fields; else None.
        title: of the data form; legacy fields have none.
    """

    instructions: str
    policy: Policy
    fields: Mapping[str, bool] = field(default_factory=dict)
    username: str | None = None
    redirect: str | None = None
    title: str = ""

    @classmethod
    def for_invite(cls, domain: Domain, invite: Invite | None) -> "RegistrationForm":
        """Return the form that a domain shows for an invite, or for None without one.

        Whoever needs an invite and has none is sent to the site, if there is one: it says where
        to get invites, and a form would be refused in the end.

        Raises:
            RegistrationClosed: nobody may register.
        """
        policy = domain.policy
        if invite is not None and invite.kind is Kind.RESET:
            return cls(_NEW_PASSWORD, policy, username=invite.username)
        if not policy.allow_registration:
            raise RegistrationClosed
        needed = invite is None and policy.registration_invite_only
        if needed and domain.web_url and domain.web_url.startswith("https:"):
            return cls(_BY_INVITATION, policy, redirect=domain.web_url)
        username = invite.username if invite else None
        return cls(domain.instructions, policy, policy.fields, username, title=domain.title)

    def toElement(self, languages: Sequence[str] = ()) -> domish.Element:
        """Return the payload of the result, in the first of ``languages`` that there is."""
        gettext = translator(languages)
        query = domish.Element((NS_REGISTER, "query"))
        if (language := chosen_language(languages)) != SOURCE_LANGUAGE:
            query[LANGUAGE] = language
        instructions = self._instructions(gettext)
        query.addElement("instructions", content=instructions)
        if self.redirect is not None:
            query.addElement((NS_OOB, "x")).addElement("url", content=self.redirect)
            return query
        form = Form("form", self.title or None, [instructions], NS_REGISTER)
        for name, required in {"username": True, "password": True, **self.fields}.items():
            kind = "text-private" if name == "password" else "text-single"
            value, label = self.username if name == "username" else None, FIELD_LABELS[name]
            query.addElement(name, content=value)
            form.addField(Field(kind, name, value, label=gettext(label), required=required))
        query.addChild(form.toElement())
        return query

    def _instructions(self, gettext: Translate) -> str:
        # Of "", gettext returns the head of its catalogue.
        told = [gettext(self.instructions)] if self.instructions else []
        if self.redirect is None:
            # The error about a weak password names no number: clients compare its text.
            told.append(password_rule(self.policy, gettext))
        return " ".join(told)


@dataclass(frozen=True, slots=True)
class RegistrationRequest:
    """The fields that a client has submitted, as legacy fields or as a data form.

    Attributes:
        values: what is not empty, by name of the field.
        remove: whether it requests to remove the account.
        doubled: the name of a field that is there twice; "" is none.
    """

    values: Mapping[str, str] = field(repr=False)
    remove: bool = False
    doubled: str = ""

    @classmethod
    def fromElement(
        cls, query: domish.Element, form_types: Container[str] = (NS_REGISTER,)
    ) -> "RegistrationRequest":
        """Parse a submitted query; a data form has precedence over legacy fields.

        Forms of types not in ``form_types`` are ignored (XEP-0068), and so is one that was
        cancelled (XEP-0004 §3.2).
        """
        legacy = [
            (child.name, str(child)) for child in query.elements() if child.uri == NS_REGISTER
        ]
        values, doubled = _filled_in(legacy)
        for form in query.elements(NS_X_DATA, "x"):
            submitted, twice = _filled_in(_form_values(form))
            is_ours = submitted.pop("FORM_TYPE", NS_REGISTER) in form_types
            if is_ours and form.getAttribute("type") != "cancel":
                values.update(submitted)
                doubled = doubled or twice
        remove = any(True for _ in query.elements(NS_REGISTER, "remove"))
        return cls(values, remove, doubled)

    def submission(
        self, domain: str, door: str, address: Origin | None, grant: Grant | None
    ) -> Submission:
        """Return the submission of a registration, or of a reset, at a domain.

        Raises:
            StanzaError: a field is there twice.
        """
        self.require_clear()
        fields = dict(self.values)
        return Submission(
            domain=domain,
            door=door,
            address=address,
            username=fields.pop("username", ""),
            password=fields.pop("password", ""),
            fields=fields,
            grant=grant,
        )

    def require_clear(self) -> None:
        """Raise StanzaError if a field is there twice: it is not known which one was meant."""
        if self.doubled:
            text = f"The field {self.doubled} is there twice."
            raise StanzaError("bad-request", "modify", text, "en")


def token_in(iq: domish.Element) -> str:
    """Return the token of a ``<preauth/>``; raise StanzaError if it is missing (XEP-0445)."""
    token: str = iq.preauth.getAttribute("token") or ""
    if not token:
        raise StanzaError("bad-request", "modify", "The token is missing.", "en")
    return token


def _filled_in(fields: Iterable[tuple[str, str]]) -> tuple[dict[str, str], str]:
    """Return the values by name, empty ones left out, and a field that is there twice or ""."""
    values: dict[str, str] = {}
    doubled = ""
    for name, value in fields:
        if value and name in values and (name in FIELD_LABELS or name == OLD_PASSWORD):
            doubled = name
        elif value:
            values[name] = value
    return values, doubled


def _form_values(form: domish.Element) -> Iterator[tuple[str, str]]:
    for element in form.elements(NS_X_DATA, "field"):
        name = element.getAttribute("var")
        value = next(element.elements(NS_X_DATA, "value"), None)
        if name and value is not None:
            yield name, str(value)
