"""Packages of Debian unstable in a folder of their own: what .ci/prom3, .ci/llamacpp and .ci/victoriametrics have in common.

apt gets a state, a cache and a list of sources of its own, below the folder; packages are unpacked there and installed
nowhere. Programs that need a newer C library than this machine's run on unstable's. Nothing of the system is changed.
"""

import os
import platform
import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

DEFAULT_MIRROR = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


def problem() -> tuple[str, str] | None:
    """Why this machine cannot have them, and what would help; None where it can."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return "apt-get and dpkg-deb are not here", "this target needs a Debian machine"
    if not KEYRING.is_file():
        return f"{KEYRING} is missing", "install debian-archive-keyring: packages are never taken unsigned"
    return None


def mirror() -> str:
    """Where packages come from."""
    return os.environ.get("TIERCLI_DEBIAN_MIRROR") or machine_mirror()


NAME_ANOTHER = "name another mirror with TIERCLI_DEBIAN_MIRROR=http://HOST/debian"


def fail(said: str, hint: str = "") -> int:
    print(f"error: {said}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return 3


def machine_mirror() -> str:
    """The mirror that this machine's own packages come from."""
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for path in lists:
        text = path.read_text(errors="replace") if path.suffix in (".list", ".sources") and path.is_file() else ""
        for line in text.splitlines():
            found = re.match(r"\s*(?:deb\s|URIs:).*?(https?://\S+/debian)/?(?:\s|$)", line)
            if found:
                return found[1]
    return DEFAULT_MIRROR


def private_apt(folder: Path, source: str) -> Path:
    """A configuration of apt that reads and writes below `folder` only, and takes packages from the mirror `source`."""
    for name in ("lists/partial", "cache/archives/partial", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "etc/sources.list").write_text(f"deb [signed-by={KEYRING}] {source} sid main\n")
    settings = {
        "Dir::Etc::sourcelist": folder / "etc/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferencesparts": "-",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",  # else another user must be able to write here
        "APT::Update::Error-Mode": "any",
    }
    path = folder / "apt.conf"
    path.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    return path


def run(apt: Path, command: list[str], where: Path) -> bool:
    done = subprocess.run(
        command, cwd=where, env={**os.environ, "APT_CONFIG": str(apt)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print((done.stderr or done.stdout).strip(), file=sys.stderr)
    return done.returncode == 0


def download(apt: Path, packages: tuple[str, ...], folder: Path, root: Path) -> bool:
    """Get packages and unpack them below `root`; their scripts are not run."""
    where = folder / "apt" / "-".join(packages)
    where.mkdir()
    if not run(apt, ["apt-get", "download", "-q", *packages], where):
        return False
    archives = list(where.glob("*.deb"))
    return len(archives) == len(packages) and all(
        run(apt, ["dpkg-deb", "-x", str(archive), str(root)], where) for archive in archives
    )


def download_with_needs(apt: Path, packages: tuple[str, ...], folder: Path, root: Path) -> bool:
    """Get packages with everything that they need, the C library too, and unpack all below `root`; their scripts are not run."""
    if not run(
        apt, ["apt-get", "install", "-y", "-q", "--download-only", "--no-install-recommends", *packages], folder
    ):
        return False
    archives = list((folder / "apt/cache/archives").glob("*.deb"))
    return bool(archives) and all(run(apt, ["dpkg-deb", "-x", str(archive), str(root)], folder) for archive in archives)


def loader(root: Path, *private: str) -> str:
    """What starts a program on the C library below `root`, for a shell. `private`: folders of libraries that only it looks into."""
    found = next((root / "usr/lib").glob(f"*/{LOADERS[platform.machine()]}"))
    libraries = ":".join(map(str, (found.parent, *(found.parent / name for name in private))))
    return f"{shlex.quote(str(found))} --library-path {shlex.quote(libraries)}"


def write_script(path: Path, text: str) -> None:
    """A shell script that everyone may run."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
