"""The HTTP API of a real service, as a tool sees it that knows nothing but its document."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from invitereg.interfaces.apikeys import Scope, issue_key
from invitereg.model.invites import token_digest
from tests.service.running import (
    DOMAIN,
    SECONDS,
    Service,
    ServiceCase,
    free_ports,
    outcome,
    wait_until,
)

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
MINUTES = 4
"""A bound for a slow computer; it takes a quarter of that on a fast one."""


def web_settings(port: int, metrics: int) -> str:
    """A site on one port, its metrics on another, and keys that may do much."""
    return (
        f"web:\n  external_url: http://127.0.0.1:{port}/\n"
        f'  listen: ["tcp:{port}:interface=127.0.0.1"]\n'
        f'  metrics_listen: ["tcp:{metrics}:interface=127.0.0.1"]\n'
        "  api: {rate: {max: 1000000, period: 1s}}\n"
        "policy: {limits: {token_guesses: {max: 1000000, period: 1s}}}\n"
    )


def make_key(service: Service) -> str:
    """The secret of a key that may do everything."""
    key, secret = issue_key("test", list(Scope), datetime.now(UTC))
    with service.operator() as operator:
        keys = operator.store
        outcome(keys.create_key(key, token_digest(secret)))
    service.secrets.append(secret)
    return secret


class ApiTests(ServiceCase):
    port, metrics = free_ports()
    settings = web_settings(port, metrics)

    def ask(
        self,
        url: str,
        secret: str = "",
        method: str = "GET",
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, str]:
        headers = {**more, "Authorization": f"Bearer {secret}"} if secret else dict(more)
        request = urllib.request.Request(url, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def test_key_of_another_process(self) -> None:
        """A key that the command line makes opens the API, and once revoked no more."""
        url = f"http://127.0.0.1:{self.port}/api/v1/invites"
        secret = make_key(self.service)
        status, text = self.ask(url, secret, "POST")
        self.assertEqual(status, 201)
        made = json.loads(text)
        self.service.secrets.append(made["token"])
        with self.service.operator() as operator:
            self.assertIn(made["id"], [invite.id for invite in operator.pending_invites()])
            keys = operator.store
            key = outcome(keys.find_key(token_digest(secret)))
            outcome(keys.revoke_key(key.id, datetime.now(UTC)))
        wait_until(lambda: self.ask(url, secret)[0] == 401, "it is still good")

    def test_repeats_at_once(self) -> None:
        """A request that is sent again and again at the same time makes one invite."""
        url = f"http://127.0.0.1:{self.port}/api/v1/invites"
        secret = make_key(self.service)

        def create(_number: int) -> tuple[int, str]:
            return self.ask(url, secret, "POST", {"Idempotency-Key": "one"})

        with self.service.operator() as operator:
            before = len(operator.pending_invites())
            with ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(create, range(48)))
            self.assertEqual({status for status, _text in answers}, {201})
            made = [json.loads(text) for _status, text in answers]
            self.service.secrets.extend(one["token"] for one in made)
            self.assertEqual(len({one["id"] for one in made}), 1)
            self.assertEqual(len(operator.pending_invites()), before + 1)

    def test_monitoring(self) -> None:
        """Health is on the site, and metrics are on their own port only."""
        site, metrics = (f"http://127.0.0.1:{port}" for port in (self.port, self.metrics))
        self.assertEqual(self.ask(f"{site}/healthz"), (200, "alive\n"))
        self.assertEqual(self.ask(f"{site}/readyz"), (200, "ready\n"))
        self.assertEqual(self.ask(f"{site}/metrics")[0], 404)
        self.assertEqual(self.ask(f"{metrics}/healthz")[0], 404)
        status, text = self.ask(f"{metrics}/metrics")
        self.assertEqual(status, 200)
        for name in (
            *("invitereg_streams", "invitereg_queue_jobs", "process_resident_memory_bytes"),
            'invitereg_http_requests_total{method="GET",route="readyz",status="200"}',
            f'invitereg_invites{{domain="{DOMAIN}",status="pending"}}',
            "invitereg_database_read_seconds_count",
        ):
            self.assertIn(f"\n{name} ", text)

    def test_schemathesis(self) -> None:
        """Whatever the document allows or forbids is answered as it says, never with 500."""
        secret = make_key(self.service)
        with self.service.operator() as operator:
            outcome(operator.registrar.create_account(DOMAIN, "romeo", "wherefore art thou"))
        done = subprocess.run(
            [
                SCHEMATHESIS,
                *("run", f"http://127.0.0.1:{self.port}/api/v1/openapi.json"),
                *("--url", f"http://127.0.0.1:{self.port}/api/v1"),
                *("--header", f"Authorization: Bearer {secret}"),
                *("--phases", "examples,coverage,fuzzing"),
                *("--checks", "all"),
                # What is well-formed may be refused: names that are taken, tokens that are not
                # there.
                *("--exclude-checks", "positive_data_acceptance"),
                *("--max-examples", "25", "--seed", "1", "--workers", "1", "--no-color"),
                *("--request-timeout", str(SECONDS), "--generation-database", "none"),
                *("--suppress-health-check", "all"),
            ],
            capture_output=True,
            text=True,
            timeout=MINUTES * 60,
            cwd=self.service.folder,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
