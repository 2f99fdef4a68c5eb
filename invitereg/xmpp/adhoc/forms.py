"""Data forms to be filled in, parsed strictly, and forms with results (XEP-0004).

https://xmpp.org/extensions/xep-0004.html
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.words.xish import domish
from wokkel.data_form import NS_X_DATA

from invitereg.translations import N_

MAX_VALUE_LENGTH = 1000  # characters
MAX_VALUES = 20

FormValues = Mapping[str, Any]
"""The values by field; a field without any is None, or () if it takes several lines."""

_MISSING = N_("The field “{field}” must be filled in.")
_DOUBLED = N_("The field “{field}” is there more than once.")
_UNKNOWN = N_("There is no field “{field}” in this form.")
_WRONG = N_("The field “{field}” has a value that it cannot have.")
_OTHER_FORM = N_("This is not the form that was asked for.")
_NO_FORM = N_("A form, filled in, is missing.")
_BOOLEANS = {"0": False, "false": False, "1": True, "true": True}


class WrongForm(Exception):
    """The submitted form is not what was asked for.

    Attributes:
        text: what is wrong, in English, with ``{field}`` for the field.
        field: the label of the field, or "".
    """

    def __init__(self, text: str, field: str = "") -> None:
        self.text = text
        self.field = field
        super().__init__(text.format(field=field))

    def told(self, gettext: Callable[[str], str]) -> str:
        """Return the mistake as text, in the language of ``gettext``."""
        return gettext(self.text).format(field=self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field to be filled in, or of a result.

    Attributes:
        label: its name for people.
        kind: ``text-single``, ``text-multi``, ``boolean``, ``jid-single`` or ``list-single``.
        value: what is filled in from the start.
        options: value and label of each choice of a ``list-single``.
        read: parses a text that is not empty; raises ValueError if it is not valid.
    """

    var: str
    label: str
    kind: str = "text-single"
    required: bool = False
    value: str = ""
    options: Sequence[tuple[str, str]] = ()
    read: Callable[[str], Any] = str

    def to_element(self) -> domish.Element:
        element = _field(self.var, self.kind, self.label, [self.value] if self.value else [])
        for value, label in self.options:
            option = element.addElement("option")
            option["label"] = label
            option.addElement("value", content=value)
        if self.required:
            element.addElement("required")
        return element

    def answer(self, values: Sequence[str]) -> Any:
        """Return the submitted value, parsed.

        Raises:
            WrongForm: the field is missing, has too many values, or an invalid one.
        """
        several = self.kind == "text-multi"
        filled = [value for value in values if value.strip()]
        too_long = any(len(value) > MAX_VALUE_LENGTH for value in filled)
        if too_long or len(values) > (MAX_VALUES if several else 1):
            raise WrongForm(_WRONG, self.label)
        if self.required and not filled:
            raise WrongForm(_MISSING, self.label)
        try:
            read = tuple(self._read(value) for value in filled)
        except ValueError:
            raise WrongForm(_WRONG, self.label) from None
        return read if several else next(iter(read), None)

    def _read(self, value: str) -> Any:
        if self.kind == "boolean":
            if value not in _BOOLEANS:
                raise ValueError(value)
            return _BOOLEANS[value]
        if self.kind == "list-single" and value not in dict(self.options):
            raise ValueError(value)
        return self.read(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form to be filled in; its texts are in the requester's language."""

    form_type: str
    title: str
    fields: Sequence[Field] = ()
    instructions: str = ""

    def to_element(self) -> domish.Element:
        element = _form("form", self.form_type, self.title, self.instructions)
        for one in self.fields:
            element.addChild(one.to_element())
        return element

    def read(self, parent: domish.Element) -> FormValues:
        """Return the values submitted within ``parent``; all must be as the form asks.

        Only FORM_TYPE may be missing: not every client repeats it. A type of ``cancel`` is
        accepted like ``submit`` (XEP-0050 §3.4.1).

        Raises:
            WrongForm: anything else.
        """
        forms = list(parent.elements(NS_X_DATA, "x"))
        if len(forms) != 1 or forms[0].getAttribute("type") not in ("submit", "cancel"):
            raise WrongForm(_NO_FORM)
        submitted = _values(forms[0])
        if submitted.pop("FORM_TYPE", [self.form_type]) != [self.form_type]:
            raise WrongForm(_OTHER_FORM)
        known = {one.var: one for one in self.fields}
        for var in submitted:
            if var not in known:
                raise WrongForm(_UNKNOWN, var[:MAX_VALUE_LENGTH])
        return {var: one.answer(submitted.get(var, [])) for var, one in known.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A form of type ``result``: fields, or rows under the names of their columns.

    Attributes:
        columns: the label, by field.
        rows: the value by field, each row with all columns.
    """

    form_type: str
    title: str
    values: Sequence[Field] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: Sequence[Mapping[str, str]] = ()

    def to_element(self) -> domish.Element:
        element = _form("result", self.form_type, self.title, "")
        for one in self.values:
            element.addChild(_field(one.var, one.kind, one.label, [one.value]))
        if self.columns:
            reported = element.addElement("reported")
            for var, label in self.columns.items():
                reported.addChild(_field(var, "text-single", label, []))
        for row in self.rows:
            item = element.addElement("item")
            for var, value in row.items():
                item.addChild(_field(var, "", "", [value]))
        return element


def _form(kind: str, form_type: str, title: str, instructions: str) -> domish.Element:
    element = domish.Element((NS_X_DATA, "x"))
    element["type"] = kind
    element.addElement("title", content=title)
    if instructions:
        element.addElement("instructions", content=instructions)
    element.addChild(_field("FORM_TYPE", "hidden", "", [form_type]))
    return element


def _field(var: str, kind: str, label: str, values: Sequence[str]) -> domish.Element:
    element = domish.Element((NS_X_DATA, "field"))
    element["var"] = var
    if kind:
        element["type"] = kind
    if label:
        element["label"] = label
    for value in values:
        element.addElement("value", content=value)
    return element


def _values(form: domish.Element) -> dict[str, list[str]]:
    """Return the submitted values by field; raise WrongForm for a field that is there twice."""
    submitted: dict[str, list[str]] = {}
    for element in form.elements(NS_X_DATA, "field"):
        var = element.getAttribute("var")
        if var is None and element.getAttribute("type") == "fixed":
            continue
        if var is None:
            raise WrongForm(_UNKNOWN)
        if var in submitted:
            raise WrongForm(_DOUBLED, var[:MAX_VALUE_LENGTH])
        submitted[var] = [str(value) for value in element.elements(NS_X_DATA, "value")]
    return submitted
