"""What is, and what is not, a configuration file at all."""

from invitereg.config import ConfigError, load
from tests.config.case import ConfigCase


class StructureTests(ConfigCase):
    """A file that cannot be read as a whole."""

    def test_missing_file(self) -> None:
        """A file that is not there is one line, without a traceback."""
        error = self.assertRaises(ConfigError, load, self.path)
        self.assertEqual(str(error), f"{self.path}: cannot be read: No such file or directory")
        self.assertIsNone(error.mistakes[0].line)

    def test_folder(self) -> None:
        """A folder in place of the file is said so."""
        error = self.assertRaises(ConfigError, load, self.folder)
        self.assertEqual(str(error), f"{self.folder}: cannot be read: Is a directory")

    def test_empty(self) -> None:
        """An empty file, or one of comments alone, says what the least is."""
        for text in ("", "\n\n", "# nothing\n", "---\n", "~"):
            self.assertEqual(
                self.mistakes(text),
                ["1: is empty: at the least it must say domain: example.com"],
            )

    def test_no_mapping(self) -> None:
        """A list or a mere text is no configuration."""
        for text in ("\n- domain", "\nexample.com", "\n5", "\n!!set {a}"):
            self.assertEqual(
                self.mistakes(text),
                ["2: must be made of keys and values, such as domain: example.com"],
            )

    def test_not_utf8(self) -> None:
        """Bytes of another encoding are named by line and column."""
        expected = "not UTF-8 text at byte 12 of the line: save the file as UTF-8"
        self.assertEqual(
            self.mistakes(b"domain: a.b\nsite_name: \xe9t\xe9\n"), [f"2: {expected}"]
        )

    def test_utf16(self) -> None:
        """UTF-16, as some editors write it, is refused likewise."""
        (mistake,) = self.mistakes("domain: a.b".encode("utf-16"))
        self.assertIn("not UTF-8 text", mistake)

    def test_byte_order_mark(self) -> None:
        """A UTF-8 file with a byte order mark is read."""
        self.assertEqual(self.mistakes(b"\xef\xbb\xbfdomain: example.com\n"), [])

    def test_control_character(self) -> None:
        """A character that YAML forbids is named with its line and column."""
        self.assertEqual(
            self.mistakes("domain: example.com\nsite_name: a\x07b"),
            ["2: not valid YAML at column 13: the character U+0007 is not allowed"],
        )

    def test_tab(self) -> None:
        """A tab for indentation is said to be one."""
        (mistake,) = self.mistakes("domain: example.com\npolicy:\n\tinvites: {}\n")
        self.assertTrue(mistake.startswith("3: not valid YAML at column 1: "), mistake)
        self.assertIn("indent with spaces, not with tabs", mistake)

    def test_syntax(self) -> None:
        """A bracket that is never closed is one line with line and column."""
        (mistake,) = self.mistakes("domain: example.com\nadmins: [a\npolicy: {}\n")
        self.assertRegex(mistake, r"^3: not valid YAML at column 7: .*line 2\)$")

    def test_where_it_begins(self) -> None:
        """What has no end is told where it begins, not where the file ends."""
        for text, place in (
            (
                'domain: "example.com\nsite_name: x\npolicy: {}\n',
                "1: not valid YAML at column 9",
            ),
            ("domain: x\nsite_name: 'x\n\n\n", "2: not valid YAML at column 12"),
            ("domain: x\nadmins: [a,\n  b\n", "2: not valid YAML at column 9"),
            ("domain: x\npolicy: {limits: {\n", "2: not valid YAML at column 18"),
        ):
            (mistake,) = self.mistakes(text)
            self.assertTrue(mistake.startswith(place), mistake)
            self.assertIn("what begins here has no end", mistake)

    def test_quotation_mark(self) -> None:
        """A quotation mark that is missing is looked for where the text before it began."""
        for text, line in (
            ('domain: "x.example\nsite_name: "x"\n', 1),
            ("domain: x\nsite_name: 'Example\nadmins: ['romeo@x']\n", 2),
        ):
            (mistake,) = self.mistakes(text)
            self.assertIn(f"the quotation mark that opens on line {line} closed", mistake)

    def test_quotes_needed(self) -> None:
        """A text that YAML takes for something else is told to need quotes."""
        for value in ("Bob: the site", "@bob", "`bob`", "50 %: off"):
            (mistake,) = self.mistakes(f"domain: example.com\nsite_name: {value}\n")
            self.assertTrue(mistake.startswith("2: not valid YAML at column "), mistake)
            self.assertTrue(mistake.endswith("; is it a text, which needs quotes?"), mistake)

    def test_several_documents(self) -> None:
        """A second document is refused where it begins, not ignored."""
        self.assertEqual(
            self.mistakes("domain: example.com\n---\ndomain: example.org\n"),
            ["2: a second document begins here: only one is allowed in a file"],
        )

    def test_too_deep(self) -> None:
        """A thousand brackets are a mistake, not a crash."""
        (mistake,) = self.mistakes("domain: " + "[" * 5000)
        self.assertRegex(mistake, r"^1: not valid YAML at column \d+: nested too deeply$")

    def test_too_large(self) -> None:
        """A file of more than a mebibyte is not read at all."""
        error = self.assertRaises(ConfigError, self.loaded, b"#" * (2**20 + 1))
        self.assertEqual(
            str(error), f"{self.path}: is larger than 1 MiB: is it the right file?"
        )

    def test_bad_escape(self) -> None:
        """An escape for a character beyond Unicode is a mistake, not a traceback."""
        (mistake,) = self.mistakes('domain: "\\UFFFFFFFF"')
        self.assertEqual(mistake, "1: not valid YAML: a number that is out of range")


class KeyTests(ConfigCase):
    """Keys as YAML allows them, and as a configuration does not."""

    def test_duplicate(self) -> None:
        """A key given twice is refused with both lines, at any depth."""
        self.assert_mistake(
            "policy:\n  invites:\n    expiry: 1d\n\n    expiry: 2d\nstore: sqlite\nstore: x\n",
            "6: policy.invites.expiry: is given twice, on lines 4 and 6: keep one",
            "8: store: is given twice, on lines 7 and 8: keep one",
        )

    def test_duplicate_beside_other_mistakes(self) -> None:
        """A key given twice does not hide what else is wrong."""
        self.assert_mistake(
            "site_name: 5\nsite_name: x\nstore: mysql\n",
            "2: site_name: must be text: put it in quotes",
            "3: site_name: is given twice, on lines 2 and 3: keep one",
            "4: store: must be sqlite",
        )

    def test_key_not_text(self) -> None:
        """A number, a boolean or a list as a key is refused."""
        self.assert_mistake(
            "5: x\ntrue: y\npolicy:\n  ~: z\n  ? [a]\n  : b\n",
            '2: a key must be text: "5" is not, unless put in quotes',
            '3: a key must be text: "true" is not, unless put in quotes',
            '5: policy: a key must be text: "~" is not, unless put in quotes',
            "6: policy: a key must be text",
        )

    def test_merge_key(self) -> None:
        """A merge key is refused by name."""
        self.assert_mistake(
            "policy:\n  <<: {invites: {}}\n",
            "3: policy: merge keys (<<) are not supported: write the keys out",
        )

    def test_strange_key_stays_on_one_line(self) -> None:
        """A key with line breaks in it cannot break a message apart."""
        (mistake,) = self.mistakes_with('"a\\nb": 1\n')
        self.assertTrue(mistake.startswith("2: 'a\\nb': unknown key; known here are "))
        self.assert_mistake('"a\\x07b": 1\n', "2: a key has a control character in it")


class ValueTests(ConfigCase):
    """Types as YAML 1.2 has them, and nothing of YAML 1.1."""

    def test_alias(self) -> None:
        """An alias is refused where it stands."""
        self.assert_mistake(
            "store: &s sqlite\nsite_name: *s\nadmins:\n- *s\n",
            "3: site_name: aliases are not supported: write the value out in place of *s",
            "5: admins[0]: aliases are not supported: write the value out in place of *s",
        )

    def test_recursive_alias(self) -> None:
        """A list that contains itself ends in a mistake."""
        self.assert_mistake(
            "admins: &a [*a]\n",
            "2: admins[0]: aliases are not supported: write the value out in place of *a",
        )

    def test_billion_laughs(self) -> None:
        """Aliases of aliases are refused without being unfolded."""
        levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
        text = "l0: &l0 [x, x]\n" + "\n".join(levels)
        self.assertEqual(len(self.mistakes_with(text)), 30 + 29 * 9)

    def test_tags(self) -> None:
        """A type of YAML's other than the plain ones is refused; nothing is constructed."""
        self.assert_mistake(
            "store: !!python/object:os.system x\nsite_name: !mine y\nadmins: !!set {a}\n"
            "keep_addresses: !!int abc\n",
            '2: store: the type "python/object:os.system" is not supported',
            '3: site_name: the type "!mine" is not supported',
            '4: admins: the type "set" is not supported',
            '5: keep_addresses: "abc" is not of the type that is written before it',
        )

    def test_text_that_was_something_else(self) -> None:
        """What YAML 1.1 made a boolean, a number or a date is the text that it looks like."""
        words = ["no", "yes", "on", "Off", "y", "1:30", "0o17", "0x1F", "017", "2001-01-01"]
        for word in [*words, "1_000", "=", "'true'", '"5"', "!!str 5", "tRUE"]:
            config = self.loaded(f"domain: example.com\nsite_name: {word}")
            expected = word.removeprefix("!!str ").strip("'\"")
            self.assertEqual(config.domains["example.com"].site_name, expected)

    def test_no_is_no_boolean(self) -> None:
        """Where true or false is wanted, ``no`` is refused, not taken for false."""
        for word in ("no", "yes", "on", "off", "'true'", "0", "1"):
            self.assert_mistake(
                f"accounts: {{scram_sha_1: {word}}}",
                "2: accounts.scram_sha_1: must be true or false (without quotes)",
            )

    def test_booleans(self) -> None:
        """The three ways to write true are true."""
        for word in ("true", "True", "TRUE"):
            config = self.loaded(f"domain: example.com\naccounts: {{scram_sha_1: {word}}}")
            self.assertIs(config.accounts["example.com"].scram_sha_1, True)

    def test_numbers(self) -> None:
        """Decimal numbers are read; everything else that looks like one is refused."""
        self.assertEqual(
            self.loaded("domain: a.b\npolicy: {limits: {work_queue: +12}}").work_queue, 12
        )
        wanted = "2: policy.limits.work_queue: must be a whole number"
        for word in ("1:30", "0o17", "017", "1_000", "1.0", "1e3", ".inf", ".nan", "-.5", "x"):
            (mistake,) = self.mistakes_with(f"policy: {{limits: {{work_queue: {word}}}}}")
            self.assertTrue(mistake.startswith(wanted), mistake)
        self.assert_mistake("policy: {limits: {work_queue: '5'}}", f"{wanted}, without quotes")
        self.assert_mistake(
            f"policy: {{limits: {{work_queue: {'9' * 5000}}}}}",
            "2: policy.limits.work_queue: the number is too large",
        )

    def test_nothing(self) -> None:
        """A key without a value is a mistake, not a default."""
        for word in ("", "~", "null"):
            for key in ("site_name", "admins", "tls", "policy", "store", "keep_addresses"):
                self.assert_mistake(
                    f"{key}: {word}\n",
                    f"2: {key}: is empty: give it a value, or leave the key out",
                )

    def test_control_character_in_text(self) -> None:
        """Text that no stanza can carry is refused, however it was escaped."""
        for escape, name in (("\\0", "U+0000"), ("\\uD800", "U+D800"), ("\\uFFFE", "U+FFFE")):
            self.assert_mistake(
                f'site_name: "a{escape}"',
                f"2: site_name: the character {name} is not allowed in text",
            )
