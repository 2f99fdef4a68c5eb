"""What `pip install` puts in place is all that it takes."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import ClassVar
from unittest import TestCase

from invitereg import __version__
from tests.service.running import ROOT, SECONDS

NOT_COPIED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "*dropin.cache*"
)
PIP_SECONDS = 300


class InstallTests(TestCase):
    """In a new environment, which finds the dependencies in the one that runs this."""

    folder: ClassVar[Path]
    site_packages: ClassVar[Path]
    command: ClassVar[str]
    python: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="invitereg-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        # A copy, as building leaves files in the folder that it builds in.
        shutil.copytree(ROOT, cls.folder / "checkout", ignore=NOT_COPIED)
        _run(sys.executable, "-m", "venv", "--without-pip", str(cls.folder / "venv"))
        cls.site_packages = next((cls.folder / "venv").glob("lib/python*/site-packages"))
        # Imports find the new environment's own packages first.
        (cls.site_packages / "outer.pth").write_text(sysconfig.get_path("purelib"))
        python = str(cls.folder / "venv/bin/python")
        pip = (sys.executable, "-m", "pip", "--python", python)
        _run(*pip, "install", "--quiet", "--no-deps", "--ignore-installed", "./checkout")
        cls.command = str(cls.folder / "venv/bin/invitereg")
        cls.python = python

    def test_command(self) -> None:
        """The operator's command works, from whatever folder it is called."""
        self.assertIn(__version__, _run(self.command, "--version"))
        config = self.folder / "config.yaml"
        config.write_text("domain: example.com\ndata_dir: data\n")
        made = _run(self.command, "--config", str(config), "invite", "create")
        self.assertIn("xmpp:example.com?register;preauth=", made)

    def test_wrapper(self) -> None:
        """The command for /usr/local/bin runs as the service's user, with its configuration."""
        tools = self.folder / "tools"
        tools.mkdir()
        for name, script in (("runuser", 'printf "%s|" "$@"'), ("id", "echo root")):
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)
        called = subprocess.run(
            [str(ROOT / "contrib/invitereg"), "invite", "create", "--note", "summer  fair"],
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
            env={"PATH": f"{tools}:/usr/bin:/bin", "INVITEREG_CONFIG": "/srv/my chat.yaml"},
        )
        self.assertEqual(
            called.stdout,
            "-u|invitereg|--|env|INVITEREG_CONFIG=/srv/my chat.yaml|"
            "/opt/invitereg/bin/invitereg|invite|create|--note|summer  fair|",
        )

    def test_make_asks_for_venv(self) -> None:
        """Where Python has no venv, as on Debian, make names the package."""
        python = self.folder / "python-without-venv"
        python.write_text('#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\n')
        python.chmod(0o755)
        checkout = self.folder / "checkout"
        made = subprocess.run(
            ["make", "-C", str(checkout), f"PYTHON={python}", "demo"],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        self.assertNotEqual(made.returncode, 0)
        self.assertIn("apt install python3-venv", made.stderr)

    def test_catalogues(self) -> None:
        """The translations are installed with it."""
        code = "from invitereg.translations import translations; t = translations(['de'])"
        shown = _run(self.python, "-c", f"{code}; print(t.info()['language'])")
        self.assertEqual(shown.strip(), "de")

    def test_twistd(self) -> None:
        """The service is listed by twistd, and it is the installed one."""
        # twistd's own entry is a dependency's, which pip was told not to install again.
        code = "import twisted.scripts.twistd as t; t.run()"
        shown = _run(self.python, "-c", code, "--help")
        self.assertRegex(shown, r"(?m)^ +invitereg +Registration by")
        where = _run(self.python, "-c", "import invitereg; print(invitereg.__file__)")
        self.assertEqual(Path(where.strip()).parent, self.site_packages / "invitereg")

    def test_files(self) -> None:
        """Every module and data file of the package is installed, and no test."""
        for top in ("invitereg", "twisted/plugins"):
            self.assertLessEqual(_files(ROOT, top), _files(self.site_packages, top))
        self.assertIn("invitereg/py.typed", _files(self.site_packages, "invitereg"))
        migrations = _files(self.site_packages, "invitereg/store/schema/versions")
        self.assertGreater(len(migrations), 1)
        self.assertFalse((self.site_packages / "tests").exists())


def _files(root: Path, top: str) -> set[str]:
    """What is in ``root/top``, without what Python and Twisted write there themselves."""
    return {
        str(path.relative_to(root))
        for path in (root / top).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".cache")
    }


def _run(*command: str) -> str:
    """What a command prints that succeeds; run from a folder without a checkout."""
    surroundings = {name: it for name, it in os.environ.items() if "PYTHON" not in name}
    seconds = PIP_SECONDS if "pip" in command else SECONDS
    done = subprocess.run(
        command,
        cwd=InstallTests.folder,
        env=surroundings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
