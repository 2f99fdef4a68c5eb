"""Chromium: from an invitation to a chat, with and without scripts."""

from typing import Any, ClassVar

from tests.peers.browser import AGENTS, DESKTOP, NARROW, PHONE, Browser, seen_by_camera
from tests.peers.test_slixmpp import Client
from tests.service.running import DOMAIN, ServiceCase, free_ports, outcome


class BrowserCase(ServiceCase):
    """Tests of the site of a running service, which must never complain."""

    (web_port,) = free_ports(1)
    site: ClassVar[str] = f"http://localhost:{web_port}/"
    settings = (
        "site_name: Capulet\n"
        f"web: {{external_url: '{site}', listen: ['tcp:{web_port}:interface=127.0.0.1']}}\n"
        "policy: {additional_registration_fields: [email], "
        "limits: {token_guesses: {max: 1000}}}"
    )

    def browser(self, *args: Any, **options: Any) -> Browser:
        browser = Browser(*args, **options)
        self.addCleanup(browser.close)
        return browser

    def reset(self, username: str) -> str:
        with self.service.operator() as operator:
            return operator.reset(username)

    def invited(self, **asked: Any) -> str:
        """Return the address of an invitation of anna's."""
        with self.service.operator() as operator:
            if "anna" not in operator.usernames():
                created = operator.registrar.create_account(
                    DOMAIN, "anna", self.service.secret()
                )
                outcome(created)
            return f"{self.site}invite/{operator.invite(inviter='anna', **asked)}"

    async def login(self, username: str, password: str) -> str:
        """How it ends when somebody logs in with an app."""
        client = Client(self.service, (username, password))
        try:
            return await client.run()
        finally:
            await client.leave()


class WayTests(BrowserCase):
    async def assertWay(self, name: str, size: tuple[int, int], *, scripts: bool) -> None:
        """Open an invite, choose an app, register, log in; forget the password, and again."""
        browser = self.browser(size, scripts=scripts)
        password = self.service.secret()
        browser.open(f"{self.site}invite/{self.service.invite()}")
        self.assertIn("You are invited to chat at Capulet", browser.text("h1"))
        browser.follow(".devices a[href*='platform=linux']")
        browser.follow("a[href*='app=dino']")
        self.assertIn("log in with Dino", browser.text())
        browser.fill(username=name, password=password, email="somebody@example.net")
        browser.follow("[type=submit]")
        self.assertIn("Welcome to Capulet!", browser.text("h1"))
        self.assertEqual(browser.text("#address"), f"{name}@{DOMAIN}")
        self.assertIn("Go on with Dino", browser.text())
        browser.driver.refresh()
        self.assertEqual(browser.text("#address"), f"{name}@{DOMAIN}")
        self.assertEqual(await self.login(name, password), "session_start")
        better = self.service.secret()
        browser.open(f"{self.site}invite/{self.reset(name)}")
        browser.fill(password=better)
        browser.follow("[type=submit]")
        self.assertIn("Your password is set", browser.text("h1"))
        self.assertEqual(await self.login(name, better), "session_start")
        self.assertEqual(await self.login(name, password), "failed_all_auth")
        self.assertEqual(browser.complaints(), [])

    async def test_phone(self) -> None:
        """On a phone."""
        await self.assertWay("juliet", PHONE, scripts=True)

    async def test_desktop(self) -> None:
        """On a desktop."""
        await self.assertWay("romeo", DESKTOP, scripts=True)

    async def test_phone_without_scripts(self) -> None:
        """On a phone that runs no scripts."""
        await self.assertWay("nurse", PHONE, scripts=False)

    async def test_desktop_without_scripts(self) -> None:
        """On a desktop that runs no scripts."""
        await self.assertWay("tybalt", DESKTOP, scripts=False)


class DeviceTests(BrowserCase):
    """What somebody with each device has before their eyes, invited by anna."""

    async def test_next_step(self) -> None:
        """One button stands out: on phones it opens the app, where none does, the form."""
        for device in AGENTS:
            mobile = device in ("android", "ios")
            browser = self.browser(PHONE if mobile else DESKTOP, device=device)
            browser.open(self.invited())
            self.assertEqual(browser.text("h1"), "anna invites you to chat at Capulet")
            (button,) = browser.seen("a.button:not(.quiet)")
            self.assertEqual(button, "Open it in the app" if mobile else "Create my account")
            self.assertIn(f"anna@{DOMAIN}", browser.text())
            self.assertEqual(browser.complaints(), [])

    async def test_from_windows_to_contact(self) -> None:
        """On Windows the one button leads to an account, the way to log in, and to anna."""
        for scripts in (True, False):
            browser = self.browser(device="windows", scripts=scripts)
            browser.open(self.invited(contact=True))
            browser.follow("a.button:not(.quiet)")
            name, password = f"juliet{int(scripts)}", self.service.secret()
            browser.fill(username=name, password=password, email="j@example.net")
            browser.follow("[type=submit]")
            self.assertIn("anna is in your contacts: say hello!", browser.text())
            self.assertIn("Open it, and log in with your address", browser.text(".app"))
            self.assertEqual(await self.login(name, password), "session_start")
            browser.follow(".devices a[href*='platform=ios']")
            self.assertIn("Monal", browser.text(".app"))

    async def test_contact_without_account(self) -> None:
        """Without scrolling, who has no account reads what to ask for, on each device."""
        for device in AGENTS:
            size = PHONE if device in ("android", "ios") else DESKTOP
            browser = self.browser(size, device=device)
            browser.open(self.invited(contact=True, registration=False))
            self.assertIn("ask anna for an invitation", browser.text("#no-account"))
            self.assertLess(browser.bottom("#no-account"), size[1])

    async def test_dates(self) -> None:
        """Scripts write moments in the order of the visitor's region, as the page does."""
        for language, order in (
            ("en-US", r"[A-Z][a-z]+ [0-9]+, 20[0-9]{2}"),
            ("en-GB", r"[0-9]+ [A-Z][a-z]+ 20[0-9]{2}"),
            ("de-AT", r"[0-9]+\. [A-Z]\w+ 20[0-9]{2}"),
        ):
            for scripts in (True, False):
                browser = self.browser(language=language, scripts=scripts)
                browser.open(self.invited())
                self.assertRegex(browser.text("time"), f"^{order}")
                self.assertEqual("UTC" in browser.text("time"), not scripts)


class PageTests(BrowserCase):
    async def test_mistakes(self) -> None:
        """A mistake is said beside its field, which has the focus; the password is gone."""
        browser = self.browser(PHONE)
        browser.open(f"{self.site}invite/{self.service.invite()}/register")
        browser.fill(username="root", password=self.service.secret(), email="r@example.net")
        browser.follow("[type=submit]")
        self.assertIn("reserved", browser.text("#username-error"))
        browser.until(lambda: browser.focused().get_attribute("id") == "username")
        values = [
            browser.find(f"#{name}").get_attribute("value") for name in ("email", "password")
        ]
        self.assertEqual(values, ["r@example.net", ""])

    async def test_scripts(self) -> None:
        """With scripts, the password can be shown, and its strength is told while typing."""
        browser = self.browser(DESKTOP)
        browser.open(f"{self.site}invite/{self.service.invite()}/register")
        field = browser.find("#password")
        for typed, told in (
            ("short", "Still too short."),
            ("password123", "Many people use this one"),
            ("mercutio9", "It must not be your username."),
            ("Mercutio9x", "This one can be used."),
            ("correct horse battery", "the longer, the better"),
        ):
            browser.fill(username="mercutio9", password=typed)
            browser.until(lambda told=told: told in browser.text(".strength"))
        browser.press("[data-show]")
        self.assertEqual(field.get_attribute("type"), "text")
        browser.press("[data-show]")
        self.assertEqual(field.get_attribute("type"), "password")
        self.assertEqual(browser.complaints(), [])

    async def test_keyboard(self) -> None:
        """Everything is reached by the keyboard, first of all the content."""
        browser = self.browser(DESKTOP)
        browser.open(f"{self.site}invite/{self.service.invite()}")
        browser.find("body").send_keys("\ue004")  # Tab
        browser.until(lambda: browser.focused().get_attribute("class") == "skip")

    async def test_camera(self) -> None:
        """A camera reads the page's address in the code, also from a dark page."""
        for dark in (False, True):
            browser, address = self.browser(dark=dark), self.site + "invite/"
            address += self.service.invite()
            browser.open(address)
            self.assertEqual(seen_by_camera(browser.find(".qr").screenshot_as_png), address)

    async def test_only_from_here(self) -> None:
        """Everything that a page loads comes from the site itself."""
        browser = self.browser(DESKTOP)
        browser.open(f"{self.site}invite/{self.service.invite()}")
        named = browser.named()
        self.assertGreater(len(named), 3)
        browser.until(lambda: named <= browser.loaded())
        loaded = named | browser.loaded()
        self.assertEqual([one for one in loaded if not one.startswith(self.site)], [])


class EveryPageTests(BrowserCase):
    async def pages(self, browser: Browser, number: int) -> Any:
        """Look at every page there is; yields the name of each."""
        name, token = f"user{number}", self.service.invite()
        for page, path in (
            ("home", ""),
            ("landing", f"invite/{token}"),
            ("windows", f"invite/{self.service.invite()}?platform=windows"),
            ("gone", "invite/nosuch"),
            ("refused", "register"),
            ("mistaken", "nosuch"),
            ("register", f"invite/{token}/register?app=gajim"),
        ):
            browser.open(self.site + path)
            yield page
        browser.fill(username="root", password=self.service.secret())
        browser.follow("[type=submit]")
        yield "register-error"
        browser.fill(username=name, password=self.service.secret())
        browser.follow("[type=submit]")
        yield "done"
        browser.open(self.invited(contact=True, registration=False))
        yield "contact"
        form = self.invited(contact=True, uses=2) + "/register"
        for page in ("done-contact", "already"):
            browser.open(form)
            password = self.service.secret()
            browser.fill(username=f"{name}b", password=password, email="b@example.net")
            browser.follow("[type=submit]")
            yield page
        browser.open(f"{self.site}invite/{self.reset(name)}")
        yield "reset"
        browser.fill(password=self.service.secret())
        browser.follow("[type=submit]")
        yield "reset-done"

    async def test_accessible(self) -> None:
        """The tool axe finds nothing wrong on any page, light and dark, phone and desktop."""
        looks = [(size, dark) for size in (PHONE, DESKTOP) for dark in (False, True)]
        for number, (size, dark) in enumerate(looks):
            browser = self.browser(size, dark=dark)
            async for page in self.pages(browser, number):
                browser.picture(page)
                self.assertEqual(browser.violations(), [], (page, size, dark))
            self.assertEqual(browser.complaints(), [])

    async def test_narrow(self) -> None:
        """At 320 pixels nothing has to be scrolled sideways, in any language (WCAG 1.4.10)."""
        for number, language in enumerate(("en", "de", "fr", "es"), 10):
            browser = self.browser(NARROW, language=language)
            async for page in self.pages(browser, number):
                self.assertEqual(browser.overflow(), 0, (page, language))
