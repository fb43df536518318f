"""A followed log: each record once, or a loss that is told, whatever happens to the log's files and to whoever reads them."""

from __future__ import annotations

import gzip
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tiercli.exporters.followed_file import FollowedFile, Position

SEQUENCES = 600
STEPS = 30
NAME = "audit.jsonl"


class Writer:
    """A gateway and what rotates its log. It may go on writing to a file that was rotated away until it opens the new one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.written: list[bytes] = []
        self.destroyed = False  # something was taken away that may not have been read
        self._file = self.path.open("ab", buffering=0)
        self._backups = 0

    def write(self, noise: random.Random) -> None:
        for _ in range(noise.randint(1, 6)):
            line = b'{"at": %d, "pad": "%s"}' % (len(self.written), b"x" * noise.choice((0, 10, 600)))
            self.written.append(line)
            self._file.write(line + b"\n")

    def rotate(self, noise: random.Random) -> None:
        self._shift()
        self.path.rename(self.path.with_name(f"{NAME}.1"))
        if noise.random() < 0.5:  # it writes to the old one until it is told
            self.write(noise)
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def copy_and_truncate(self, noise: random.Random) -> None:
        self._shift()
        shutil.copy(self.path, self.path.with_name(f"{NAME}.1"))
        self._file.truncate(0)

    def back_up(self, noise: random.Random) -> None:
        self._backups += 1
        kind = noise.choice(("", "~", ".gz"))
        target = self.path.with_name(f"{NAME}.bak{self._backups}{kind}")
        if kind == ".gz":
            target.write_bytes(gzip.compress(self.path.read_bytes()))
        else:
            shutil.copy(self.path, target)

    def compress(self, noise: random.Random) -> None:
        plain = [path for path in self._rotated() if path.suffix != ".gz"]
        if plain:
            chosen = noise.choice(plain)
            chosen.with_name(f"{chosen.name}.gz").write_bytes(gzip.compress(chosen.read_bytes()))
            chosen.unlink()

    def truncate(self, noise: random.Random) -> None:
        self._file.truncate(0)
        self.destroyed = True

    def remove_oldest(self, noise: random.Random) -> None:
        rotated = self._rotated()
        if rotated:
            rotated[-1].unlink()
            self.destroyed = True

    def replace_by_a_copy(self, noise: random.Random) -> None:
        """As an editor does."""
        copy = self.path.with_name("copy-of-it")
        shutil.copy(self.path, copy)
        copy.rename(self.path)
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def kept(self) -> set[bytes]:
        """The records that some file still has."""
        records: set[bytes] = set()
        for path in self.path.parent.iterdir():
            content = path.read_bytes()
            records.update((gzip.decompress(content) if path.suffix == ".gz" else content).splitlines())
        return records

    def close(self) -> None:
        self._file.close()

    def _rotated(self) -> list[Path]:
        """The newest first."""
        return sorted(self.path.parent.glob(f"{NAME}.[0-9]*"), key=lambda path: int(path.name.split(".")[2]))

    def _shift(self) -> None:
        for path in reversed(self._rotated()):
            number, *suffixes = path.name.split(".")[2:]
            path.rename(path.with_name(".".join([NAME, str(int(number) + 1), *suffixes])))


class Reader:
    """Whoever follows the log, and saves what was counted together with the position, as a scrape does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FollowedFile | None = FollowedFile(path)
        self.counted: list[bytes] = []
        self.lost = 0
        self._saved: tuple[list[bytes], bytes, int] = ([], b"null", 0)

    def read(self) -> None:
        if self._file is not None:
            self.counted += self._file.lines()
            self.lost = self._file.lost

    def save(self) -> None:
        if self._file is not None:
            self._saved = (list(self.counted), msgspec.json.encode(self._file.position()), self._file.lost)

    def stop(self) -> None:
        self.save()
        self.kill()

    def kill(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def start(self) -> None:
        if self._file is None:
            counted, position, lost = self._saved
            self.counted = list(counted)
            self._file = FollowedFile(self._path, msgspec.json.decode(position, type=Position | None))
            self._file.lost += lost


@contextmanager
def followed(folder: Path) -> Iterator[tuple[Writer, Reader]]:
    """A log, and who follows it from its first line on."""
    folder.mkdir(exist_ok=True)
    writer = Writer(folder)
    reader = Reader(folder / NAME)
    writer.write(random.Random(0))
    reader.read()
    reader.save()
    try:
        yield writer, reader
    finally:
        reader.kill()
        writer.close()


@pytest.mark.parametrize("part", range(6))
@pytest.mark.parametrize("destroying", [False, True], ids=["nothing is taken away", "something is"])
def test_each_record_is_counted_once_or_its_loss_is_told(tmp_path: Path, part: int, destroying: bool) -> None:
    """A reader that never saved begins again at the start of the log, and is not asked for what was rotated before that."""
    for seed in range(part * SEQUENCES // 12, (part + 1) * SEQUENCES // 12):
        noise, done = random.Random(seed), []
        with followed(tmp_path / str(seed)) as (writer, reader):
            writing = [writer.write] * 4
            writing += [writer.rotate, writer.copy_and_truncate, writer.back_up, writer.compress]
            writing += [writer.replace_by_a_copy]
            if destroying:
                writing += [writer.truncate, writer.remove_oldest]
            reading = [reader.read, reader.read, reader.save, reader.stop, reader.kill, reader.start, reader.start]
            for _ in range(STEPS):
                step = noise.choice([*writing, *reading])
                done.append(step.__name__)
                step(noise) if step in writing else step()
            reader.start()
            reader.read()
            reader.read()
            history = (seed, done)
            assert len(reader.counted) == len(set(reader.counted)), history
            missing = set(writer.written) - set(reader.counted)
            assert not missing & writer.kept(), (*history, len(missing))  # what still is in some file was counted
            assert writer.destroyed or not (missing or reader.lost), (*history, len(missing))


def test_the_cases_that_were_handed_in(tmp_path: Path) -> None:
    noise = random.Random(1)
    with followed(tmp_path) as (writer, reader):
        shutil.copy(writer.path, tmp_path / f"{NAME}.bak")
        writer.rotate(noise)
        writer.write(noise)
        reader.read()
        assert reader.counted == writer.written
        reader.stop()
        writer.write(noise)
        writer.copy_and_truncate(noise)
        writer.write(noise)
        reader.start()
        reader.read()
        assert reader.counted == writer.written
        assert reader.lost == 0


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_records_that_are_all_alike_are_told_apart_by_their_files(tmp_path: Path, state: str) -> None:
    path = tmp_path / NAME
    path.write_bytes(b'{"at": 1}\n' * 10)
    reader = Reader(path)
    reader.read()
    if state == "stopped":
        reader.stop()
    shutil.copy(path, tmp_path / f"{NAME}.bak")
    path.rename(tmp_path / f"{NAME}.1")
    path.write_bytes(b'{"at": 1}\n' * 5)
    reader.start()
    reader.read()
    reader.stop()
    assert (len(reader.counted), reader.lost) == (15, 0)


def test_a_copy_that_is_being_compressed_is_waited_for(tmp_path: Path) -> None:
    noise = random.Random(1)
    with followed(tmp_path) as (writer, reader):
        reader.stop()
        writer.write(noise)
        writer.rotate(noise)
        rotated = tmp_path / f"{NAME}.1"
        packed = gzip.compress(rotated.read_bytes())
        rotated.unlink()
        target = tmp_path / f"{NAME}.1.gz"
        target.write_bytes(packed[: len(packed) // 2])
        reader.start()
        reader.read()
        target.write_bytes(packed)
        reader.read()
        assert sorted(reader.counted) == sorted(writer.written)


def test_a_position_without_a_first_line_goes_on_in_its_file(tmp_path: Path) -> None:
    """As versions before wrote it."""
    path = tmp_path / NAME
    path.write_bytes(b'{"at": 1}\n{"at": 2}\n')
    before = FollowedFile(path, Position(path.stat().st_ino, 10))
    assert list(before.lines()) == [b'{"at": 2}']
    assert (before.truncations, before.rotations, before.lost) == (0, 0, 0)
    before.close()
