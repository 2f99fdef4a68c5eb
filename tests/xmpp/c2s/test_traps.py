"""The known traps of Twisted's XML streams (house style, traps 1 to 7 and 12)."""

from dataclasses import replace

from invitereg.xmpp.stanzas import Phase
from tests.xmpp.door import DoorTestCase
from tests.xmpp.messages import (
    DOMAIN,
    GET,
    NS_REGISTER,
    STARTTLS,
    error_of,
    header,
    plain,
    preauth,
    registration,
)

PREAUTH_AND_QUERY = (
    "<preauth xmlns='urn:xmpp:pars:0' token='unknown'/>"
    f"<query xmlns='{NS_REGISTER}'><username>juliet</username></query>"
)


class InjectionTests(DoorTestCase):
    def test_trap_1_after_starttls(self):
        """What an attacker puts behind <starttls/> in clear is never taken for secure."""
        self.listener.add_invite()
        injected = preauth() + registration("mallory")
        for extra in (injected, header() + injected, "</stream:stream>", "<", "\0"):
            client = self.listener.opened(Phase.CLEAR)
            self.assertEqual(client.ask(STARTTLS + extra).name, "proceed")
            self.assertSilent(client)
            client.finish_handshake()
            client.open()
            self.assertError(client.ask(registration("mallory")), "auth", "forbidden")

    def test_trap_1_after_starttls_split_anywhere(self):
        """Nor wherever the segments end: what comes later goes to TLS, not to the stream."""
        self.listener.add_invite()
        text = STARTTLS + preauth()
        for cut in range(1, len(text)):
            client = self.listener.opened(Phase.CLEAR)
            client.send(text[:cut])
            if client.transport.tls is None:
                client.send(text[cut:])
            self.assertEqual([e.name for e in client.receive()], ["proceed"])
            self.assertIsNone(client.stream.grant)

    def test_trap_1_after_auth(self):
        """What follows <auth/> in the same segment is not done in the account's name."""
        self.listener.add_account()
        for extra in (GET, header() + GET, "<message/>", "</stream:stream>", "<"):
            client = self.listener.opened()
            self.assertEqual(client.ask(plain() + extra).name, "success")
            self.assertSilent(client)
            self.assertEqual(client.open().name, "features")

    def test_trap_1_after_auth_split_anywhere(self):
        """In later segments it is no stream header, and ends the stream."""
        self.listener.add_account()
        text = plain() + GET
        for cut in range(1, len(text), 3):
            client = self.listener.opened()
            client.send(text[:cut], text[cut:])
            names = [element.name for element in client.receive()]
            self.assertNotIn("iq", names)
            self.assertEqual(names[0], "success")


class HeaderTests(DoorTestCase):
    def test_trap_2_malformed_to(self):
        """A `to` that is no domain is answered with host-unknown, not with a traceback."""
        bad = ("@", "@example.com", "/x", "a@b@c", "..", "a..b", "-", " ", "\u2488", "\ufeff")
        for to in (*bad, "x" * 1024, "xn--\u00e4", "example.net", "sub.example.com", "", None):
            with self.subTest(to=to):
                client = self.listener.connect()
                client.send(header(to=to))
                self.assertEnded(client, "host-unknown")
                self.assertEqual(client.header["from"], DOMAIN)

    def test_website_only(self):
        """Clients of a domain that is on its site only are told that it is not here."""
        domain = self.listener.domains[DOMAIN]
        self.listener.domains[DOMAIN] = replace(domain, website_only=True)
        client = self.listener.connect()
        client.send(header())
        self.assertEnded(client, "host-unknown")

    def test_trap_2_other_spelling(self):
        """The domain is compared after nameprep, and may end with a dot."""
        for to in ("EXAMPLE.com", "example.com."):
            client = self.listener.connect()
            self.assertEqual(client.open(to=to).name, "features")
            self.assertEqual(client.header["from"], DOMAIN)

    def test_trap_3_wrong_root(self):
        """Another root element or namespace is refused."""
        good = header()
        cases = {
            good.replace("etherx.jabber.org", "example.org"): "invalid-namespace",
            good.replace("'jabber:client'", "'jabber:server'"): "invalid-namespace",
            good.replace(" xmlns='jabber:client'", ""): "invalid-namespace",
            good.replace("<stream:stream", "<stream:flood"): "bad-format",
            "<iq xmlns='jabber:client'>": "invalid-namespace",
            "<html>": "invalid-namespace",
        }
        for text, condition in cases.items():
            client = self.listener.connect()
            client.send(text)
            self.assertEnded(client, condition)

    def test_trap_3_version(self):
        """Only XMPP 1.0 or later is spoken: before it there was no SASL."""
        versions = ("", "''", "'0.9'", "'0'", "'x'", "'-1.0'", "'.'", "'1,0'", "'\u00b2'")
        for version in versions:
            client = self.listener.connect()
            client.send(header(version=version and f" version={version}"))
            self.assertEnded(client, "unsupported-version")
        for version in ("1.0", "1.1", "2.0", "01.0", "9" * 5000 + ".0"):
            client = self.listener.connect()
            self.assertEqual(client.open(version=f" version='{version}'").name, "features")

    def test_trap_3_stanza_namespaces(self):
        """A stanza of another namespace is none of ours."""
        for ns in ("jabber:server", "", "urn:x"):
            client = self.listener.opened()
            client.send(GET.replace("<iq", f"<iq xmlns='{ns}'"))
            self.assertEnded(client, "not-authorized")


class XmlTests(DoorTestCase):
    def test_trap_4_not_well_formed(self):
        """Whatever is no XML is called so, before and after the header."""
        for text in ("<iq></message>", "<<", "<iq a=1/>", "<iq a='1' a='2'/>", "&foo;", "\0"):
            client = self.listener.opened()
            client.send(text)
            self.assertEnded(client, "not-well-formed")
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x01", b"\x80"):
            client = self.listener.connect()
            client.send(data)
            self.assertEnded(client, "not-well-formed")

    def test_trap_4_undeclared_prefix_and_invalid_utf_8(self):
        """So are an undeclared prefix and bytes that are not UTF-8."""
        for data in (b"<x:iq/>", b"<iq id='\xc3\x28'/>", b"<iq>\xed\xa0\x80</iq>"):
            client = self.listener.opened()
            client.send(data)
            self.assertEnded(client, "not-well-formed")

    def test_trap_5_restricted_xml(self):
        """A DTD, a comment and a processing instruction end the stream, wherever they are."""
        dtd = "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
        for prolog in (dtd, "<!DOCTYPE x>", "<!-- x -->", "<?php x?>"):
            client = self.listener.connect()
            client.send("<?xml version='1.0'?>" + prolog + header(declaration=""))
            self.assertEnded(client, "restricted-xml")
        for text in ("<!-- -->", "<?x?>", "<iq><!-- x --></iq>", "<iq><?x y?></iq>"):
            client = self.listener.opened()
            client.send(text)
            self.assertEnded(client, "restricted-xml")

    def test_trap_5_dtd_within(self):
        """A DTD inside the stream is not even well-formed; no entity is ever expanded."""
        for text in ("<!DOCTYPE x>", "<iq>&a;</iq>", "<iq id='&a;'/>"):
            client = self.listener.opened()
            client.send(text)
            self.assertEnded(client, "not-well-formed")

    def test_predefined_entities(self):
        """The entities of XML itself, and numbers, are allowed."""
        reply = self.listener.opened().ask(GET.replace("'get' to", "'&lt;&#97;&quot;' to"))
        self.assertEqual(reply["id"], '<a"')


class OneReplyTests(DoorTestCase):
    def test_trap_7_two_payloads(self):
        """An IQ that would be for two handlers gets one answer: it is refused."""
        client = self.listener.opened()
        client.send(f"<iq type='set' id='1'>{PREAUTH_AND_QUERY}</iq>")
        self.assertEnded(client, "not-authorized")

    def test_trap_7_two_payloads_in_session(self):
        """So in a session, where it is an error that leaves the stream open."""
        client = self.listener.logged_in()
        for payload in (
            "<query xmlns='http://jabber.org/protocol/disco#info'/>"
            "<ping xmlns='urn:xmpp:ping'/>",
            "<ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/>",
            "",
        ):
            reply = client.ask(f"<iq type='get' id='1'>{payload}</iq>")
            self.assertError(reply, "modify", "bad-request")

    def test_trap_7_each_request_one_reply(self):
        """Ten requests in one segment get ten replies, in order."""
        client = self.listener.opened()
        client.send("".join(GET.replace("'get' to", f"'{n}' to") for n in range(10)))
        self.assertEqual([reply["id"] for reply in client.receive()], list("0123456789"))

    def test_trap_7_unknown_request(self):
        """A request that is nothing before login ends the stream, and has no other answer."""
        payloads = (
            "<query xmlns='jabber:iq:auth'/>",
            "<query xmlns='jabber:iq:roster'/>",
            "<ping xmlns='urn:xmpp:ping'/>",
            "<preauth xmlns='urn:xmpp:pars:1' token='x'/>",
            "",
        )
        for kind in ("get", "set", "result", "error", "x", ""):
            for payload in payloads:
                client = self.listener.opened()
                client.send(f"<iq type='{kind}' id='1'>{payload}</iq>")
                self.assertEnded(client, "not-authorized")


class LocalpartTests(DoorTestCase):
    def test_trap_12_length_of_localparts(self):
        """A localpart has 1 to 1,023 bytes after preparation, whatever Twisted thinks."""
        self.listener = type(self.listener)(
            policy={"registration_invite_only": False},
        )
        client = self.listener.opened()
        for name in ("a" * 1100, "\u00e4" * 512, "\u00ad", "a b", "a@b", "a/b", "&lt;"):
            reply = client.ask(registration(name))
            self.assertError(reply, "modify", "jid-malformed")
        self.assertError(client.ask(registration("")), "modify", "not-acceptable")
        self.assertError(client.ask(registration("a" * 1023)), "modify", "not-acceptable")
        self.assertNotIn("ip", error_of(client.ask(registration("a" * 1023)))[2])
