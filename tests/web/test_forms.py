"""Registering and resetting by a form, without scripts."""

import hashlib
import hmac
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from invitereg.policy.inviting import OPERATOR
from invitereg.policy.values import Limit, Limits, PasswordRules, Policy, UsernameRules
from invitereg.web.channel import Channel
from invitereg.web.forms import REMEMBERED_SECONDS, Signer, SubmissionCache
from invitereg.web.pages import Pages
from invitereg.web.site import WebDoor
from tests.web.door import DOMAIN, PASSWORD, WebCase, later
from tests.web.person import Person, inputs


class FormCase(WebCase):
    async def at_form(self, page: str = "register", **asked: Any) -> tuple[Person, str]:
        """Somebody who looks at the form of a new invite, and the form's path."""
        _invite, token = await self.invite(**asked)
        return await self.looking_at(f"/invite/{token}/{page}")

    async def looking_at(self, path: str) -> tuple[Person, str]:
        person = Person(self)
        answer = await person.open(path)
        self.assertEqual(answer.code, 200, answer.body)
        return person, path

    async def usernames(self) -> list[str]:
        return [account.username for account in await self.store.list_accounts(DOMAIN)]

    def assertError(self, answer: Any, field: str, text: str) -> None:
        """The page says ``text`` beside a field, and the field says where that is."""
        self.assertIn(f'<p class="error" id="{field}-error">{text}', answer.body)
        shown = inputs(answer.body)[field]
        self.assertEqual(shown["aria-invalid"], "true")
        self.assertIn(f"{field}-error", shown["aria-describedby"].split())

    def held_up(self) -> tuple[Deferred[None], Deferred[None]]:
        """Registrations begin, which fires the first, and go on when the second fires."""
        begun: Deferred[None] = Deferred()
        going: Deferred[None] = Deferred()
        redeem = self.accounts.redeem

        async def slowly(*args: Any) -> None:
            begun.callback(None)
            await going
            await redeem(*args)

        self.patch(self.accounts, "redeem", lambda *args: Deferred.fromCoroutine(slowly(*args)))
        return begun, going

    def arrivals(self, number: int) -> list[Deferred[None]]:
        """So many submissions are taken up, or wait for their turn: each fires the next."""
        came: list[Deferred[None]] = [Deferred() for _ in range(number)]
        waiting, do = iter(came), SubmissionCache.once

        async def noticed(*args: Any) -> Any:
            doing = Deferred.fromCoroutine(do(*args))
            next(waiting).callback(None)
            return await doing

        self.patch(SubmissionCache, "once", noticed)
        return came

    def restart(self) -> None:
        """Let another process answer, on the same store."""
        self.door._pages = Pages(self.domains, self.registrar, self.clock).resource()

    async def password_of(self, username: str, password: str = PASSWORD) -> bool:
        return (await self.accounts.check_password(username, password)) is not None


class RegistrationTests(FormCase):
    async def test_registration(self) -> None:
        """A form makes the account; the next page says its address, and may be reloaded."""
        person, path = await self.at_form()
        answer = await person.send(path, username="juliet", password=PASSWORD)
        done = path.removesuffix("register") + "done"
        self.assertEqual((answer.code, self.header(answer, "location")), (303, done))
        for _time in range(3):
            page = await person.open(done)
            self.assertEqual(page.code, 200)
            self.assertIn("Welcome to Example Chat!", page.body)
            self.assertIn("juliet<wbr>@example.com", page.body)
            self.assertNotIn(PASSWORD, page.body)
        self.assertEqual(await self.usernames(), ["juliet"])
        self.assertTrue(await self.password_of("juliet"))
        (use,) = await self.store.list_uses(DOMAIN)
        self.assertEqual((use.door, use.address), ("web", "127.0.0.1"))

    async def test_chosen_app(self) -> None:
        """Who came for an app is led on to it."""
        person, path = await self.at_form()
        await person.open(f"{path}?app=gajim")
        await person.send(path, username="juliet", password=PASSWORD)
        page = await person.open(self.header(person.page, "location"))
        self.assertIn("Go on with Gajim", page.body)
        self.assertNotIn("Conversations", page.body)

    async def test_unknown_app(self) -> None:
        """An app that nobody knows is none."""
        person, path = await self.at_form()
        page = await person.open(f"{path}?app=<b>")
        self.assertNotIn("<b>", page.body)
        await person.send(path, username="juliet", password=PASSWORD, app="<b>")
        page = await person.open(self.header(person.page, "location"))
        self.assertIn("Choose an app", page.body)

    async def test_going_back(self) -> None:
        """Who goes back after it finds what came of it; anybody else that it is over."""
        person, path = await self.at_form()
        await person.send(path, username="juliet", password=PASSWORD)
        landing = path.removesuffix("/register")
        self.assertIn("juliet<wbr>@example.com", (await person.open(landing)).body)
        self.assertEqual((await person.open(path)).code, 303)
        stranger = Person(self)
        for page in (landing, path, f"{landing}/done"):
            self.assertEqual((await stranger.open(page)).code, 404)

    async def test_proof_of_another(self) -> None:
        """The proof of one form is none for another, and cannot be made up."""
        person, path = await self.at_form()
        await person.send(path, username="juliet", password=PASSWORD)
        _place, proof = person.cookies["invitereg_done"]
        _invite, token = await self.invite()
        for value in (proof, proof[:-1] + "0", "", "x.y", proof.partition(".")[0], "\xff"):
            answer = await self.get(
                f"/invite/{token}/done", headers={"Cookie": f"invitereg_done={value}"}
            )
            self.assertEqual(answer.code, 404)

    async def test_made_up(self) -> None:
        """A cookie that somebody else has written, of whatever shape, is as good as none."""
        _invite, token = await self.invite()
        name, paths = f"{DOMAIN} {token}", ("/done", "", "/register")
        key = hashlib.sha256(f"done {name}".encode()).digest()
        real = Signer(await self.store.signing_key())
        good = {"address": f"juliet@{DOMAIN}", "kind": "account", "app": "", "contact": ""}
        values: list[Any] = [[], {}, None, 0, "x", [good], {**good, "kind": "king"},
                             {**good, "address": 1}, {"address": "x"}]  # fmt: skip
        texts = [Signer(by).write(f"done {name}", good) for by in (key, b"", token.encode())]
        texts += [real.write(f"done {name}", value) for value in values]
        texts += [real.write(f"{one} {name}", good) for one in ("form", "", "done x")]
        texts += ["", ".", "..", "W10.x", "\xff\xfe", "a" * 4000, "eyJ9.x", "%5B%5D"]
        await self.redeem("juliet", token)
        for text in texts:
            for path in paths:
                cookie = {"Cookie": [b"invitereg_done=" + text.encode("latin-1")]}
                answer = await self.get(f"/invite/{token}{path}", headers=cookie)
                self.assertEqual(answer.code, 404, (text, path))
            answer = await self.get("/register/done", headers=cookie)
            self.assertEqual(answer.code, 303, text)
        proof = real.write(f"done {name}", good)
        shown = await self.get(
            f"/invite/{token}/done", headers={"Cookie": f"invitereg_done={proof}"}
        )
        self.assertIn("juliet<wbr>@example.com", shown.body)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_another_node(self) -> None:
        """A form, and what came of it, are good at another node and after a restart."""
        person, path = await self.at_form()
        self.restart()
        await person.send(path, username="juliet", password=PASSWORD)
        self.restart()
        page = await person.open(path.removesuffix("register") + "done")
        self.assertIn("juliet<wbr>@example.com", page.body)

    async def test_fixed_name(self) -> None:
        """A name that the invite fixes is filled in, and no other is taken."""
        person, path = await self.at_form(username="juliet")
        self.assertEqual(inputs(person.page.body)["username"]["value"], "juliet")
        self.assertIn("readonly", person.page.body)
        answer = await person.send(path, username="nurse", password=PASSWORD)
        self.assertEqual(answer.code, 403)
        self.assertError(answer, "username", "This invitation is for the username juliet.")
        answer = await person.send(path, password=PASSWORD)
        self.assertEqual(answer.code, 303)

    async def test_in_german(self) -> None:
        """What is wrong is said in the visitor's language."""
        person, path = await self.at_form()
        person.headers["Accept-Language"] = "de"
        answer = await person.send(path, username="juliet", password="short")
        self.assertError(
            answer, "password", "Das ist zu kurz: Bitte nimm mindestens 8 Zeichen."
        )

    async def test_choices_kept(self) -> None:
        """The page after it is in the chosen language, and so is all that it links to."""
        person, path = await self.at_form()
        await person.open(f"{path}?lang=fr&platform=ios")
        sent = await person.send(f"{path}?lang=fr&platform=ios", username="a b", password="x")
        self.assertIn('lang="fr"', sent.body)
        await person.send(f"{path}?lang=fr&platform=ios", username="juliet", password=PASSWORD)
        done = path.removesuffix("register") + "done"
        self.assertEqual(self.header(person.page, "location"), f"{done}?lang=fr&platform=ios")
        page = await person.open(self.header(person.page, "location"))
        self.assertIn('<html lang="fr"', page.body)
        for language in ("de", "fr"):
            self.assertIn(f'href="{done}?lang={language}&amp;platform=ios"', page.body)
        landing = path.removesuffix("/register")
        page = await person.open(f"{landing}?lang=de")
        self.assertIn(f'href="{done}?lang=es"', page.body)
        self.assertEqual(
            self.header(await person.open(f"{path}?lang=de"), "location"), f"{done}?lang=de"
        )

    async def test_prepared_name(self) -> None:
        """The address is shown as it is stored, whatever was typed."""
        for number, typed in enumerate(
            (
                " Júliet{} ",
                "\u00a0júliet{}\u3000",
                "júliet{}@EXAMPLE.com ",
                "xmpp:júliet{}@example.com",
            )
        ):
            person, path = await self.at_form()
            await person.send(path, username=typed.format(number), password=PASSWORD)
            page = await person.open(self.header(person.page, "location"))
            self.assertIn(f"júliet{number}<wbr>@example.com", page.body)


class ErrorTests(FormCase):
    policy = Policy(
        fields={"email": True, "nick": False},
        usernames=UsernameRules(min_length=3, pattern="[a-z]+"),
        passwords=PasswordRules(common=frozenset({"password1"})),
    )

    async def test_beside_fields(self) -> None:
        """Each mistake is said beside its field; the rest stays filled in, no password."""
        await self.account("romeo")
        person, path = await self.at_form()
        good = {
            "username": "juliet",
            "password": PASSWORD,
            "email": "j@example.net",
            "nick": "J",
        }
        for changed, status, field, text in (
            ({"username": "romeo"}, 409, "username", "Somebody has this username already."),
            ({"username": "root"}, 403, "username", "This username is reserved."),
            ({"username": "adrnin"}, 403, "username", "This username is reserved."),
            ({"username": "a b c"}, 422, "username", "A username cannot have spaces"),
            ({"username": "ab"}, 422, "username", "A username here has 3 to 64 characters."),
            ({"username": "4711"}, 422, "username", "A username here must match this pattern"),
            (
                {"username": "juliet\U0001f600"},
                *(
                    422,
                    "username",
                    "A username cannot have this character: \U0001f600 (U+1F600)",
                ),
            ),
            (
                {"username": "ju\ue000"},
                422,
                "username",
                "A username cannot have this character",
            ),
            (
                {"username": "\u05e9\u05dc\u05d5\u05ddromeo"},
                *(422, "username", "This username is too long, or mixes letters"),
            ),
            ({"username": "j" * 1100}, 422, "username", "This username is too long, or mixes"),
            ({"username": ""}, 422, "username", "Please fill this in."),
            ({"password": ""}, 422, "password", "Please fill this in."),
            (
                {"password": "short"},
                422,
                "password",
                "This is too short: please use at least 8",
            ),
            ({"password": "password1"}, 422, "password", "Many people use this password."),
            (
                {"username": "mercutio", "password": "Mercutio"},
                *(422, "password", "Your username cannot be your password."),
            ),
            (
                {"password": "\u05e9\u05dc\u05d5\u05dd1234"},
                422,
                "password",
                "A password with letters",
            ),
            (
                {"password": "long enough\ue000"},
                422,
                "password",
                "A password cannot have this character: U+E000",
            ),
            (
                {"password": "long enough \U0001fae0"},
                422,
                "password",
                "A password cannot have this character: \U0001fae0 (U+1FAE0)",
            ),
            (
                {"password": "\ufdfa" * 60},
                422,
                "password",
                "This password is too long: at most 1023",
            ),
            ({"password": "x" * 2000}, 422, "password", "This password is too long"),
            ({"email": " "}, 422, "email", "Please fill this in."),
            ({"email": "\0"}, 422, "email", "This has characters that cannot be used."),
        ):
            answer = await person.send(path, **{**good, **changed})
            self.assertEqual(answer.code, status, changed)
            self.assertError(answer, field, text)
            shown = inputs(answer.body)
            self.assertNotIn("value", shown["password"])
            self.assertEqual(shown["nick"]["value"], "J")
            self.assertIn('role="alert"', answer.body)
            hint = "At least 8 characters, not your username, and none that many people use."
            self.assertEqual(answer.body.count(hint), 1)
        self.assertEqual(await self.usernames(), ["romeo"])
        # None of it has cost the invite anything.
        self.assertEqual((await person.send(path, **good)).code, 303)
        (account,) = [
            a for a in await self.store.list_accounts(DOMAIN) if a.username == "juliet"
        ]
        self.assertEqual(dict(account.details), {"email": "j@example.net", "nick": "J"})

    async def test_escaped(self) -> None:
        """What somebody typed is never taken for a part of the page."""
        person, path = await self.at_form()
        answer = await person.send(path, username='"><script>x', nick="<b>", email="&amp;")
        self.assertNotIn("<script>x", answer.body)
        self.assertNotIn("<b>", answer.body)
        self.assertIn("&amp;amp;", answer.body)

    async def test_hint(self) -> None:
        """The hint beside the field is the policy's: its length, and the common passwords."""
        person, _path = await self.at_form()
        self.assertEqual(inputs(person.page.body)["password"]["data-least"], "8")
        self.assertIn("At least 8 characters, not your username, and none", person.page.body)
        common = await self.get("/static/common.txt")
        self.assertEqual(common.body, "password1")


class OnceTests(FormCase):
    async def test_double_click(self) -> None:
        """A form that is sent twice at once makes one account, and both answers say so."""
        person, path = await self.at_form()
        answers = await gatherResults(
            [
                Deferred.fromCoroutine(person.send(path, username="juliet", password=PASSWORD))
                for _click in range(2)
            ]
        )
        self.assertEqual([answer.code for answer in answers], [303, 303])
        self.assertEqual(await self.usernames(), ["juliet"])

    async def test_second_tab(self) -> None:
        """Another tab of the same browser is told what the first one has done."""
        for changed in ({"username": "nurse"}, {"password": "another one now"}):
            person, path = await self.at_form()
            first, name = person.page, f"juliet{len(await self.usernames())}"
            good = {"username": name, "password": PASSWORD}
            await person.send(path, **good)
            person.page = first
            answer = await person.send(path, **{**good, **changed})
            await self.assertAlready(person, answer, name)
            self.assertTrue(await self.password_of(name))
        self.assertEqual(sorted(await self.usernames()), ["juliet0", "juliet1"])

    async def assertAlready(self, person: Person, answer: Any, name: str) -> None:
        """The page says what was done before, and leads on to it."""
        self.assertEqual(answer.code, 409)
        self.assertIn("<h1>You have an account already</h1>", answer.body)
        self.assertIn(f"{name}<wbr>@example.com", answer.body)
        onward = re.findall(r'class="button" href="([^"]+)"', answer.body)
        page = await person.open(*onward)
        self.assertIn("Welcome to Example Chat!", page.body)
        self.assertIn(f"{name}<wbr>@example.com", page.body)

    async def test_app_kept(self) -> None:
        """The app that was chosen is still known on the way onward."""
        person, path = await self.at_form()
        await person.open(f"{path}?app=gajim")
        form = person.page
        for name in ("juliet", "nurse"):
            person.page = form
            answer = await person.send(path, username=name, password=PASSWORD)
        self.assertEqual(answer.code, 409)
        page = await person.open(path.removesuffix("register") + "done")
        self.assertIn("Go on with Gajim", page.body)

    async def test_after_a_restart(self) -> None:
        """A service that remembers nothing says the same, by the cookie."""
        person, path = await self.at_form()
        form = person.page
        await person.send(path, username="juliet", password=PASSWORD)
        self.restart()
        person.page = form
        answer = await person.send(path, username="nurse", password=PASSWORD)
        await self.assertAlready(person, answer, "juliet")

    async def test_long_after(self) -> None:
        """When nobody remembers any more, the same form again is answered in the same way."""
        person, path = await self.at_form()
        form = person.page
        for _time in range(2):
            person.page = form
            answer = await person.send(path, username="juliet", password=PASSWORD)
            self.clock.advance(REMEMBERED_SECONDS + 1)
        await self.assertAlready(person, answer, "juliet")

    async def test_several_people(self) -> None:
        """An invite for several registers one after the other in the same browser."""
        person, path = await self.at_form(uses=3)
        form = person.page
        for name in ("juliet", "juliet", "nurse", "tybalt"):
            person.page = form
            answer = await person.send(path, username=name, password=PASSWORD)
            page = await person.open(self.header(answer, "location"))
            self.assertIn(f"{name}<wbr>@example.com", page.body)
            landing = await person.open(path.removesuffix("/register"))
            known = "Welcome to" if name == "tybalt" else "You are invited to chat at"
            self.assertIn(f"<h1>{known} Example Chat", landing.body)
            code = (await person.open(path)).code
            self.assertEqual(code, 303 if name == "tybalt" else 200)
        self.assertEqual(sorted(await self.usernames()), ["juliet", "nurse", "tybalt"])

    async def test_twice_while_it_is_made(self) -> None:
        """Who presses the button again meanwhile gets the same answer, of one registration."""
        person, path = await self.at_form()
        begun, going = self.held_up()
        form, answers = person.page, []
        for came in self.arrivals(2):
            person.page = form
            sent = person.send(path, username="juliet", password=PASSWORD)
            answers.append(Deferred.fromCoroutine(sent))
            await came
            await begun
        going.callback(None)
        done = path.removesuffix("register") + "done"
        for answer in await gatherResults(answers):
            self.assertEqual((answer.code, self.header(answer, "location")), (303, done))
        self.assertEqual(await self.usernames(), ["juliet"])

    async def test_name_changed_while_it_is_made(self) -> None:
        """Who presses the button again with another name is told which account was made."""
        person, path = await self.at_form()
        begun, going = self.held_up()
        form, answers = person.page, []
        for name, came in zip(("juliet", "nurse"), self.arrivals(2), strict=True):
            person.page = form
            sent = person.send(path, username=name, password=PASSWORD)
            answers.append(Deferred.fromCoroutine(sent))
            await came
            await begun
        going.callback(None)
        first, second = await gatherResults(answers)
        self.assertEqual(first.code, 303)
        person.cookies.pop("invitereg_done")  # a browser may drop an answer that is overtaken
        person.page = second
        for line in second.headers.getRawHeaders("set-cookie", []):
            name, _, value = line.split("; ")[0].partition("=")
            person.cookies[name] = ("/", value)
        await self.assertAlready(person, second, "juliet")
        self.assertEqual(await self.usernames(), ["juliet"])

    async def test_corrected_while_it_is_refused(self) -> None:
        """Who corrects the form while the server still thinks gets the answer to that one."""
        await self.account("mercutio")
        person, path = await self.at_form()
        answers = await gatherResults(
            [
                Deferred.fromCoroutine(person.send(path, username=name, password=PASSWORD))
                for name in ("mercutio", "juliet")
            ]
        )
        self.assertEqual([answer.code for answer in answers], [409, 303])
        self.assertEqual(sorted(await self.usernames()), ["juliet", "mercutio"])

    async def test_another_browser(self) -> None:
        """Another browser with the same token is told that it is over."""
        person, path = await self.at_form()
        other, _path = await self.looking_at(path)
        await person.send(path, username="juliet", password=PASSWORD)
        answer = await other.send(path, username="nurse", password=PASSWORD)
        self.assertEqual(answer.code, 404)
        self.assertEqual(await self.usernames(), ["juliet"])

    async def test_revoked_meanwhile(self) -> None:
        """An invite that was withdrawn while the form was filled in is not valid any more."""
        invite, token = await self.invite()
        person, path = await self.looking_at(f"/invite/{token}/register")
        await self.issuer.revoke(DOMAIN, invite.id, OPERATOR)
        answer = await person.send(path, username="juliet", password=PASSWORD)
        self.assertEqual(answer.code, 404)
        self.assertEqual(await self.usernames(), [])


class GoneTests(FormCase):
    async def test_hung_up(self) -> None:
        """Who hangs up while the account is made has it all the same, and finds it later."""
        person, path = await self.at_form()
        begun, going = self.held_up()
        gone: Deferred[None] = Deferred()
        lost = Channel.connectionLost

        def noticed(channel: Channel, *args: Any) -> None:
            lost(channel, *args)
            gone.callback(None)

        form = person.page
        sent = Deferred.fromCoroutine(person.send(path, username="juliet", password=PASSWORD))
        sent.addErrback(lambda _failure: None)
        await begun
        await later()
        self.patch(Channel, "connectionLost", noticed)
        sent.cancel()
        await sent
        await gone
        self.patch(Channel, "connectionLost", lost)
        self.assertEqual(await self.usernames(), [])
        going.callback(None)
        self.assertEqual(await self.usernames(), ["juliet"])
        person.page = form
        answer = await person.send(path, username="juliet", password=PASSWORD)
        self.assertEqual(answer.code, 303)
        page = await person.open(self.header(answer, "location"))
        self.assertIn("juliet<wbr>@example.com", page.body)


class ForgeryTests(FormCase):
    async def assertForeign(self, answer: Any) -> None:
        self.assertEqual(answer.code, 403)
        self.assertIn("could not be checked", answer.body)
        self.assertEqual(await self.usernames(), [])

    async def test_no_cookie(self) -> None:
        """A form without the cookie of the browser that it was shown to is refused."""
        person, path = await self.at_form()
        person.cookies.clear()
        answer = await person.send(path, username="juliet", password=PASSWORD)
        await self.assertForeign(answer)
        # The page has the form again, filled in but for the password, and now it is good.
        self.assertEqual(inputs(answer.body)["username"]["value"], "juliet")
        self.assertEqual((await person.send(path, password=PASSWORD)).code, 303)

    async def test_of_another_browser(self) -> None:
        """Neither is one that was shown to another browser, nor one for another invite."""
        person, path = await self.at_form()
        other, elsewhere = await self.at_form()
        person.page = other.page
        await self.assertForeign(await person.send(path, username="juliet", password=PASSWORD))
        # What a browser could make of its cookie by itself is no CSRF token of ours.
        _place, secret = person.cookies["invitereg_form"]
        form = f"{DOMAIN} {path.split('/')[2]}"
        own = hmac.new(secret.encode(), form.encode(), "sha256").hexdigest()
        for token in (own, Signer(secret.encode()).signature(f"form {form}", secret), "", "é"):
            fields = {"username": "juliet", "password": PASSWORD, "form": token}
            await self.assertForeign(await person.post(path, fields))
        other.cookies = person.cookies
        await self.assertForeign(
            await other.send(elsewhere, username="juliet", password=PASSWORD, form="é")
        )

    async def test_from_another_site(self) -> None:
        """What a browser says to come from another site is refused, whatever it carries."""
        person, path = await self.at_form()
        person.headers["Sec-Fetch-Site"] = "cross-site"
        await self.assertForeign(await person.send(path, username="juliet", password=PASSWORD))

    async def test_cookies(self) -> None:
        """Cookies are kept from scripts, from other sites, and from plain connections."""
        person, path = await self.at_form()
        lines = person.page.headers.getRawHeaders("set-cookie")
        await person.send(path, username="juliet", password=PASSWORD)
        lines += person.page.headers.getRawHeaders("set-cookie")
        self.assertEqual(len(lines), 2)
        for line in lines:
            attributes = {part.lower() for part in line.split("; ")}
            self.assertLessEqual({"httponly", "samesite=strict", "secure"}, attributes)

    async def test_malformed(self) -> None:
        """A body that is no form gets a page that says so, and changes nothing."""
        person, path = await self.at_form()
        for kind, body, status in (
            ("application/json", b"{}", 415),
            ("text/plain", b"username=x", 415),
            ("application/x-www-form-urlencoded", b"username=\xff\xfe", 400),
            ("application/x-www-form-urlencoded", b"username=%ff", 400),
            ("application/x-www-form-urlencoded", b"a=1&" * 100, 400),
            ("application/x-www-form-urlencoded", b"", 403),
        ):
            answer = await person.post(path, body, **{"Content-Type": kind})
            self.assertEqual(answer.code, status, body)
            self.assertIn("<h1>", answer.body)
        self.assertEqual(await self.usernames(), [])


class ResetTests(FormCase):
    async def resetting(self) -> tuple[Person, str]:
        await self.account("juliet")
        _invite, token = await self.issuer.create_reset(DOMAIN, "juliet", OPERATOR)
        person = Person(self)
        await person.open(f"/invite/{token}")
        return person, f"/invite/{token}/reset"

    async def test_reset(self) -> None:
        """A reset sets the password of its account, once, and says so."""
        person, path = await self.resetting()
        self.assertIn(f'action="{path}"', person.page.body)
        answer = await person.send(path, password="a new and better one")
        self.assertEqual(answer.code, 303)
        page = await person.open(self.header(answer, "location"))
        self.assertIn("Your password is set", page.body)
        self.assertTrue(await self.password_of("juliet", "a new and better one"))
        self.assertEqual((await Person(self).open(path)).code, 404)

    async def test_second_password(self) -> None:
        """Another password sent with the same link is said not to be set, as it is not."""
        person, path = await self.resetting()
        form = person.page
        await person.send(path, password="a new and better one")
        person.page = form
        answer = await person.send(path, password="the better one of both")
        self.assertEqual(answer.code, 409)
        self.assertIn("<h1>This password was not set</h1>", answer.body)
        self.assertIn("juliet<wbr>@example.com", answer.body)
        self.assertTrue(await self.password_of("juliet", "a new and better one"))
        page = await person.open(path.removesuffix("reset") + "done")
        self.assertIn("Your password is set", page.body)

    async def test_double_click(self) -> None:
        """Both clicks end on "Your password is set", also without the cookie of the first."""
        person, path = await self.resetting()
        form, known = person.page, dict(person.cookies)
        for _click in range(2):
            person.page, person.cookies = form, dict(known)
            answer = await person.send(path, password="a new and better one")
            self.assertEqual(answer.code, 303)
        page = await person.open(self.header(answer, "location"))
        self.assertIn("Your password is set", page.body)

    async def test_weak(self) -> None:
        """A weak password is refused beside the field; the link is still good."""
        person, path = await self.resetting()
        answer = await person.send(path, password="juliet")
        self.assertEqual(answer.code, 422)
        self.assertError(answer, "password", "This is too short: please use at least 8")
        self.assertTrue(await self.password_of("juliet"))
        self.assertEqual((await person.send(path, password="another one now")).code, 303)

    async def test_other_name(self) -> None:
        """It is for no other account, whatever is sent."""
        person, path = await self.resetting()
        await self.account("romeo")
        await person.send(path, username="romeo", password="another one now")
        self.assertTrue(await self.password_of("romeo"))
        self.assertTrue(await self.password_of("juliet", "another one now"))


class OpenTests(FormCase):
    policy = Policy(
        registration_invite_only=False,
        limits=Limits(registration=Limit(max=2, period=timedelta(hours=1))),
    )

    async def test_open(self) -> None:
        """Where registration is open, the start page leads to a form without a token."""
        self.assertIn('href="/register"', (await self.get("/")).body)
        person, path = await self.looking_at("/register")
        answer = await person.send(path, username="juliet", password=PASSWORD)
        self.assertEqual(self.header(answer, "location"), "/register/done")
        self.assertIn("juliet<wbr>@", (await person.open("/register/done")).body)
        (use,) = await self.store.list_uses(DOMAIN)
        self.assertIsNone(use.invite_id)

    async def test_another_one(self) -> None:
        """One browser may register another account: families share computers."""
        person, path = await self.looking_at("/register")
        form = person.page
        for name in ("juliet", "juliet", "romeo"):
            person.page = form
            answer = await person.send(path, username=name, password=PASSWORD)
            self.assertEqual(answer.code, 303)
            done = await person.open(self.header(answer, "location"))
            self.assertIn(f"{name}<wbr>@example.com", done.body)
        self.assertEqual(sorted(await self.usernames()), ["juliet", "romeo"])

    async def test_another_password(self) -> None:
        """The same name with another password is said to be an account that is there."""
        person, path = await self.looking_at("/register")
        form = person.page
        for password in (PASSWORD, "another one now"):
            person.page = form
            answer = await person.send(path, username="juliet", password=password)
        self.assertEqual(answer.code, 409)
        self.assertIn("You have an account already", answer.body)
        self.assertTrue(await self.password_of("juliet"))
        taken, _path = await self.looking_at("/register")
        answer = await taken.send(path, username="juliet", password=PASSWORD)
        self.assertError(answer, "username", "Somebody has this username already.")

    async def test_throttled(self) -> None:
        """Too many accounts from one network: 429, and when it is worth another try."""
        for name in ("juliet", "romeo"):
            person, path = await self.looking_at("/register")
            await person.send(path, username=name, password=PASSWORD)
        late = await Person(self).open("/register")
        self.assertEqual((late.code, self.header(late, "retry-after")), (429, "3600"))
        self.clock.advance(3600)
        await self.looking_at("/register")

    async def test_done_without_proof(self) -> None:
        """Who has not registered is sent to the form."""
        answer = await self.get("/register/done")
        self.assertEqual(self.header(answer, "location"), "/register")


class InviteOnlyTests(FormCase):
    async def test_not_open(self) -> None:
        """Where invitations are needed, the open form says so, and takes nothing."""
        page = await self.get("/register")
        self.assertEqual(page.code, 403)
        self.assertIn("you need an invitation", page.body)
        person = Person(self)
        fields = {"username": "juliet", "password": PASSWORD}
        self.assertEqual((await person.post("/register", fields)).code, 403)
        self.assertEqual(await self.usernames(), [])


class WebchatTests(FormCase):
    def make_site(self) -> Any:
        return replace(super().make_site(), webchat_url="https://example.com/chat")

    async def test_webchat(self) -> None:
        """A chat in the browser, if there is one, is a click away."""
        person, path = await self.at_form()
        await person.send(path, username="juliet", password=PASSWORD)
        page = await person.open(self.header(person.page, "location"))
        self.assertIn('href="https://example.com/chat"', page.body)


class BrokenTests(FormCase):
    def make_door(self) -> WebDoor:
        door = super().make_door()
        self.patch(self.store, "look_up", lambda _query: 1 / 0)
        return door

    async def test_unexpected(self) -> None:
        """What nobody expected is a page with the name of an error, which is in the log."""
        answer = await self.get("/invite/token")
        self.assertEqual(answer.code, 503)
        (failure,) = self.flushLoggedErrors(ZeroDivisionError)
        self.assertIn("The server has a problem (error ", answer.body)
        self.assertNotIn("ZeroDivisionError", answer.body)
        self.assertNotIn("Traceback", answer.body)
        self.assertIsNotNone(failure)
