"""Installs prometheus and alertmanager: Debian's packages if apt can be used, else upstream's release archives.

An archive is pinned by SHA-256, checked before it is opened, and unpacked in a temporary folder: a failure leaves the cache as
it was.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from tiercli.errors import BackendError, BackendUnreachable, ToolMissing

Say = Callable[[str], None]

DEBIAN_PACKAGES = ("prometheus", "prometheus-alertmanager")
MIRROR = "https://github.com"


@dataclass(frozen=True, slots=True)
class Archive:
    """A release archive: its path on a mirror, its SHA-256 by platform, and the programs to unpack."""

    name: str
    version: str
    path: str
    sha256: Mapping[str, str]
    programs: tuple[str, ...]

    def url(self, mirror: str, system: str) -> str:
        """The URL of the archive for a platform."""
        return f"{mirror.rstrip('/')}/{self.path.format(version=self.version, system=system)}"


# Pinned by the sums of the releases' own sha256sums.txt, as distributions that pin the same releases state them too.
ARCHIVES: tuple[Archive, ...] = (
    Archive(
        name="prometheus",
        version="3.5.0",
        path="prometheus/prometheus/releases/download/v{version}/prometheus-{version}.{system}.tar.gz",
        sha256={
            "linux-amd64": "e811827af26d822afb09a4f28314f61b618b12cff5369835a67f674d8b46f39a",
            "linux-arm64": "173389cc42bf09c4e6e54cb53fa07a5a835d7c261e14775d2183181d6e385d1c",
        },
        programs=("prometheus", "promtool"),
    ),
    Archive(
        name="alertmanager",
        version="0.28.1",
        path="prometheus/alertmanager/releases/download/v{version}/alertmanager-{version}.{system}.tar.gz",
        sha256={
            "linux-amd64": "5ac7ab5e4b8ee5ce4d8fb0988f9cb275efcc3f181b4b408179fafee121693311",
            "linux-arm64": "d8832540e5b9f613d2fd759e31d603173b9c61cc7bb5e3bc7ae2f12038b1ce4f",
        },
        programs=("alertmanager", "amtool"),
    ),
)


def this_platform() -> str:
    """This machine in upstream's names: linux-amd64, linux-arm64, darwin-arm64, …"""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    return f"{platform.system().lower()}-{machine}"


def can_use_apt() -> bool:
    """Whether apt-get is installed and may be used: as root, or through sudo without a password."""
    if shutil.which("apt-get") is None:
        return False
    if os.geteuid() == 0:
        return True
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def apt_commands() -> list[list[str]]:
    """The commands that install Debian's packages. With RUNLEVEL=1 the installation starts no services."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    install = [*sudo, *environment, "apt-get", "install", "-y", "-q", "--no-install-recommends", *DEBIAN_PACKAGES]
    return [[*sudo, "apt-get", "update", "-q"], install]


def install_with_apt(say: Say) -> None:
    """Install Debian's packages, and leave no service running. Raises BackendError with apt's last lines."""
    for command in apt_commands():
        say(f"running {' '.join(command)}")
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise BackendError(
                f"{' '.join(command[-2:])} failed: {' '.join(last)}", hint="tiercli stack install --method archive"
            )
    _leave_no_services(say)
    if shutil.which("promtool") is None:
        # Debian splits promtool off from Prometheus 3 on.
        subprocess.run(
            [*apt_commands()[1][:-2], "promtool"], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )


def _leave_no_services(say: Say) -> None:
    """Stop the services that the installation started: tiercli needs only the programs."""
    if shutil.which("systemctl") is None or not Path("/run/systemd/system").is_dir():
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    command = [*sudo, "systemctl", "disable", "--now", *DEBIAN_PACKAGES]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        say("stopped the services that the packages started; tiercli runs its own")


def install_archives(
    folder: Path, archives: tuple[Archive, ...], mirror: str, say: Say, system: str = ""
) -> list[Path]:
    """Download, check and unpack `archives` into `folder`/bin; the paths of the programs.

    Raises ToolMissing for a platform without a pinned archive, BackendUnreachable for a failed or short download,
    BackendError for a wrong checksum or an archive without its programs. Then nothing in `folder` has changed.
    """
    system = system or this_platform()
    for archive in archives:
        if system not in archive.sha256:
            known = ", ".join(sorted(archive.sha256)) or "none"
            raise ToolMissing(
                f"no pinned archive of {archive.name} {archive.version} for {system} (available: {known})",
                hint=f"install {archive.name} yourself and put it on PATH, or name it with TIERCLI_{archive.name.upper()}",
            )
    if not archives:
        raise ToolMissing("no release archive is pinned", hint="install prometheus and alertmanager yourself, on PATH")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".staging-", dir=folder) as staging_name:
        staging = Path(staging_name)
        unpacked: list[Path] = []
        for archive in archives:
            file = staging / f"{archive.name}.tar.gz"
            _download(archive.url(mirror, system), file, say)
            _check(file, archive, system)
            unpacked += _unpack(file, archive, staging)
        (folder / "bin").mkdir(exist_ok=True)
        for program in unpacked:
            program.replace(folder / "bin" / program.name)
    return [folder / "bin" / program.name for program in unpacked]


def _download(url: str, file: Path, say: Say) -> None:
    say(f"downloading {url}")
    try:
        with (
            httpx.stream("GET", url, follow_redirects=True, timeout=60, trust_env=True) as answer,
            file.open("wb") as out,
        ):
            if answer.status_code != 200:
                raise BackendUnreachable(f"{url} answered {answer.status_code}", hint="--mirror names another server")
            for piece in answer.iter_bytes(1 << 16):
                out.write(piece)
    except httpx.HTTPError as error:
        raise BackendUnreachable(
            f"the download of {url} failed: {str(error) or type(error).__name__}", hint="try again, or name a --mirror"
        ) from error


def _check(file: Path, archive: Archive, system: str) -> None:
    with file.open("rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()
    if checksum != archive.sha256[system]:
        raise BackendError(
            f"the archive of {archive.name} {archive.version} has the wrong checksum: {checksum}, not {archive.sha256[system]}",
            hint="it was cut short or changed on the way; nothing was installed",
        )


def _unpack(file: Path, archive: Archive, staging: Path) -> list[Path]:
    """Unpack only the programs, under fixed names: paths in the archive have no effect."""
    programs: list[Path] = []
    try:
        with tarfile.open(file) as tar:
            for member in tar:
                name = Path(member.name).name
                if not member.isfile() or name not in archive.programs:
                    continue
                content = tar.extractfile(member)
                if content is not None:
                    place = staging / name
                    with place.open("wb") as out:
                        shutil.copyfileobj(content, out)
                    place.chmod(0o755)
                    programs.append(place)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackendError(f"the archive of {archive.name} cannot be unpacked: {error}") from error
    missing = set(archive.programs) - {program.name for program in programs}
    if missing:
        raise BackendError(
            f"the archive of {archive.name} {archive.version} does not hold {', '.join(sorted(missing))}"
        )
    return programs


def default_method() -> str:
    """apt if it can be used, else an archive."""
    return "apt" if sys.platform == "linux" and can_use_apt() else "archive"
