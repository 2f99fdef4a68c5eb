"""The document that describes the API."""

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from invitereg.interfaces.apikeys import Scope
from tests.web.api.case import ApiCase


class DocumentTests(ApiCase):
    async def described(self):
        self.secret = None
        return (await self.call("GET", "/openapi.json", status=200)).content

    async def test_valid(self):
        """It is an OpenAPI 3.1 document, for everybody to read."""
        described = await self.described()
        self.assertEqual(described["openapi"], "3.1.0")
        validate(described, cls=OpenAPIV31SpecValidator)
        self.assertEqual(described["servers"], [{"url": "/api/v1"}])

    async def test_not_again(self):
        """Whoever has it is not sent it again, and what is sent is made once."""
        self.secret = None
        first, again = [await self.call("GET", "/openapi.json", status=200) for _ in range(2)]
        etag = self.header(first, "etag")
        self.assertEqual(self.header(again, "etag"), etag)
        headers = {"If-None-Match": [etag]}
        known = await self.call("GET", "/openapi.json", headers=headers, status=304)
        self.assertEqual((known.body, self.header(known, "content-type")), ("", None))
        headers = {"If-None-Match": ['"other"']}
        await self.call("GET", "/openapi.json", headers=headers, status=200)

    async def test_complete(self):
        """Every operation says its scope and how it can fail, and refers to what is there."""
        described = await self.described()
        scopes = set()
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                scopes.add(operation["description"].split("`")[1])
                responses = set(operation["responses"])
                self.assertLessEqual({"401", "403", "422", "429", "503"}, responses)
                self.assertEqual(
                    "requestBody" in operation,
                    (method != "get" and "{" not in path) or method == "patch",
                )
        self.assertEqual(scopes, set(Scope))

    async def test_strict(self):
        """No object may have members that are not named."""
        schemas = (await self.described())["components"]["schemas"]
        for name, schema in schemas.items():
            if schema["type"] == "object" and name != "ProblemDocument":
                self.assertIs(schema["additionalProperties"], False, name)

    async def test_exclusive(self):
        """It says what may not be said together, and what an address is."""
        schemas = (await self.described())["components"]["schemas"]
        for name in ("NewInviteBody", "InviteChangesBody", "NewResetBody"):
            schema = Draft202012Validator(schemas[name])
            body = {"username": "juliet", "expires": "7d"}
            if name == "InviteChangesBody":
                del body["username"]
            self.assertTrue(schema.is_valid(body), name)
            both = {**body, "expires_at": "2026-11-29T12:00:00Z"}
            self.assertFalse(schema.is_valid(both), name)
            self.assertIn("Excludes `expires`", str(schemas[name]))
        self.assertEqual(schemas["InviteChangesBody"]["minProperties"], 1)
        address = str(schemas["PreviewBody"]["properties"]["client_address"])
        for text in ("IPv4", "ipv4", "ipv6", "2001:db8::1"):
            self.assertIn(text, address)
        self.assertIn("IP address", schemas["Use"]["properties"]["address"]["description"])
