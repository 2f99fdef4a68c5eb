"""Forms that are filled in: what is read of them, and what is not."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.xish import domish

from invitereg.translations import translator
from invitereg.xmpp.adhoc.forms import (
    MAX_VALUE_LENGTH,
    MAX_VALUES,
    Field,
    Form,
    Result,
    WrongForm,
)
from tests.xmpp.messages import NS_X_DATA

FORM = Form(
    form_type="test#form",
    title="Test",
    instructions="Fill in",
    fields=(
        Field(var="name", label="Name", required=True),
        Field(var="number", label="Number", read=int),
        Field(var="sure", label="Sure", kind="boolean"),
        Field(
            var="colour",
            label="Colour",
            kind="list-single",
            value="b",
            options=[("r", "Red"), ("b", "Blue")],
        ),
        Field(var="roles", label="Roles", kind="text-multi"),
    ),
)
EMPTY = {"name": None, "number": None, "sure": None, "colour": None, "roles": ()}


def submitted(*fields, kind="submit"):
    """A parent with a form; each field is its name and its values."""
    parent = domish.Element(("test", "parent"))
    form = parent.addElement((NS_X_DATA, "x"))
    if kind is not None:
        form["type"] = kind
    for var, *values in fields:
        field = form.addElement("field")
        if var is not None:
            field["var"] = var
        for value in values:
            field.addElement("value", content=value)
    return parent


class ReadTests(SynchronousTestCase):
    def assertWrong(self, parent, says):
        """It is refused, with a text that says what is wrong."""
        wrong = self.assertRaises(WrongForm, FORM.read, parent)
        self.assertIn(says, str(wrong))
        self.assertEqual(wrong.told(translator(["en"])), str(wrong))
        self.assertNotEqual(wrong.told(translator(["de"])), str(wrong))

    def test_read(self):
        """Every field comes as its kind says; what is missing or empty is None."""
        self.assertEqual(FORM.read(submitted(("name", "x"))), EMPTY | {"name": "x"})
        filled = submitted(
            ("FORM_TYPE", "test#form"),
            ("name", "x"),
            ("number", "7"),
            ("sure", "true"),
            ("colour", "r"),
            ("roles", "a", " ", "b"),
        )
        expected = {"name": "x", "number": 7, "sure": True, "colour": "r", "roles": ("a", "b")}
        self.assertEqual(FORM.read(filled), expected)
        blank = submitted(("name", "x"), ("number", ""), ("sure",), ("colour", " "))
        self.assertEqual(FORM.read(blank), EMPTY | {"name": "x"})

    def test_booleans(self):
        """Both ways of XEP-0004 to write a boolean are read, and no other."""
        for text, value in (("0", False), ("false", False), ("1", True), ("true", True)):
            self.assertIs(FORM.read(submitted(("name", "x"), ("sure", text)))["sure"], value)
        for text in ("True", "yes", "2"):
            self.assertWrong(submitted(("name", "x"), ("sure", text)), "“Sure” has a value")

    def test_missing(self):
        """A required field must be filled in."""
        for fields in ((), (("name",),), (("name", " "),)):
            self.assertWrong(submitted(*fields), "“Name” must be filled in")

    def test_doubled(self):
        """A field that is there twice is refused, even if both say the same."""
        self.assertWrong(submitted(("name", "x"), ("name", "x")), "“name” is there more")
        self.assertWrong(submitted(("name", "x", "y")), "“Name” has a value")

    def test_unknown(self):
        """A field that was not asked for is not overlooked; one without a name neither."""
        self.assertWrong(submitted(("name", "x"), ("admin", "1")), "no field “admin”")
        self.assertWrong(submitted(("name", "x"), (None, "1")), "no field “”")

    def test_fixed(self):
        """Text that only stands in a form may come back with it."""
        parent = submitted(("name", "x"), (None, "Read this"))
        *_, field = parent.x.elements(NS_X_DATA, "field")
        field["type"] = "fixed"
        self.assertEqual(FORM.read(parent)["name"], "x")

    def test_values(self):
        """What cannot be read, chosen or kept is refused."""
        for var, value in (("number", "seven"), ("colour", "Blue"), ("number", "1" * 5000)):
            self.assertWrong(submitted(("name", "x"), (var, value)), "has a value")
        self.assertWrong(submitted(("name", "x" * (MAX_VALUE_LENGTH + 1))), "has a value")
        many = [str(number) for number in range(MAX_VALUES + 1)]
        self.assertWrong(submitted(("name", "x"), ("roles", *many)), "has a value")

    def test_other_form(self):
        """A form of another type is refused, and so is a type that is none."""
        for types in (("other",), ("test#form", "other"), ()):
            self.assertWrong(submitted(("FORM_TYPE", *types), ("name", "x")), "not the form")
        self.assertWrong(
            submitted(("FORM_TYPE", "test#form"), ("FORM_TYPE", "test#form")), "more than once"
        )

    def test_no_form(self):
        """There must be one form, and it must be submitted."""
        self.assertWrong(domish.Element(("test", "parent")), "is missing")
        for kind in (None, "form", "result", ""):
            self.assertWrong(submitted(("name", "x"), kind=kind), "is missing")
        two = submitted(("name", "x"))
        two.addElement((NS_X_DATA, "x"))["type"] = "submit"
        self.assertWrong(two, "is missing")

    def test_cancel(self):
        """A form of type cancel is read as one of type submit (XEP-0050 §3.4.1)."""
        self.assertEqual(FORM.read(submitted(("name", "x"), kind="cancel"))["name"], "x")

    texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=9)
    names = st.sampled_from([None, "FORM_TYPE", *EMPTY]) | texts
    values = st.sampled_from(["test#form", "0", "true", "r", "7"]) | texts
    fields = st.tuples(names, st.lists(values, max_size=3)).map(lambda one: (one[0], *one[1]))

    @given(st.lists(fields, max_size=7), st.sampled_from(["submit", "cancel", "form", None]))
    def test_any_form(self, fields, kind):
        """Whatever is sent is either read whole or refused, and read as the fields say."""
        try:
            answers = FORM.read(submitted(*fields, kind=kind))
        except WrongForm:
            return
        self.assertEqual(set(answers), set(EMPTY))
        names = [field[0] for field in fields]
        self.assertEqual(len(names), len(set(names)))
        self.assertTrue(answers["name"].strip())
        self.assertIsInstance(answers["number"], int | None)
        self.assertIn(answers["sure"], (None, True, False))
        self.assertIn(answers["colour"], (None, "r", "b"))


class WriteTests(SynchronousTestCase):
    def test_form(self):
        """A form shows what is asked, what it means, what is required and what to choose."""
        element = FORM.to_element()
        self.assertEqual(element["type"], "form")
        self.assertEqual((str(element.title), str(element.instructions)), ("Test", "Fill in"))
        hidden, name, number, _, colour, _ = element.elements(NS_X_DATA, "field")
        self.assertEqual((hidden["type"], str(hidden.value)), ("hidden", "test#form"))
        self.assertEqual((name["type"], name["label"]), ("text-single", "Name"))
        self.assertIsNotNone(name.required)
        self.assertIsNone(number.required)
        self.assertEqual(str(colour.value), "b")
        options = [(o["label"], str(o.value)) for o in colour.elements(NS_X_DATA, "option")]
        self.assertEqual(options, [("Red", "r"), ("Blue", "b")])

    def test_result(self):
        """A result tells values, and an empty one is there as well."""
        told = [
            Field(var="a", label="A", value="1"),
            Field(var="b", label="B", value=""),
        ]
        element = Result(form_type="t", title="T", values=told).to_element()
        _, first, second = element.elements(NS_X_DATA, "field")
        self.assertEqual((element["type"], str(first.value)), ("result", "1"))
        self.assertEqual(str(second.value), "")

    def test_rows(self):
        """A result of several rows names its columns first."""
        rows = [{"a": "1"}, {"a": "2"}]
        element = Result(form_type="t", title="T", columns={"a": "A"}, rows=rows).to_element()
        (column,) = element.reported.elements(NS_X_DATA, "field")
        self.assertEqual((column["var"], column["label"]), ("a", "A"))
        items = [str(item.field.value) for item in element.elements(NS_X_DATA, "item")]
        self.assertEqual(items, ["1", "2"])
