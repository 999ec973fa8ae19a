"""A zip that somebody uploaded: every name and size in it is looked at before anything is taken out.

Nothing is unpacked under a name of its own, and what is read is counted while it is read.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.keras_worker.errors import Refused

ZIP_MAGIC = b"PK\x03\x04"

# Deflate cannot shrink weights by more than a few times, nor JSON by more than some tens; a bomb by 1,000 times.
_MOST_RATIO = 100
_RATIO_FREE_BYTES = 1024 * 1024
_CHUNK = 1024 * 1024
_ENCRYPTED = 0x1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile and zlib raise for bytes that are no zip, or no longer one.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError, ValueError)


@dataclass(frozen=True)
class Limits:
    """`files` and `bytes` of an archive when unpacked; `config_bytes` of a model's JSON; `weights_bytes` of the weights
    to be kept, 0 for none."""

    files: int
    bytes: int
    config_bytes: int
    weights_bytes: int = 0


class Archive:
    """An open zip whose names, kinds and declared sizes are harmless; `members` are its files by name."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        infos = archive.infolist()
        if len(infos) > limits.files:
            raise Refused(f"The zip holds {len(infos):,} files; at most {limits.files:,} are read.")
        seen: set[str] = set()
        for info in infos:
            _check_name(info, seen)
            _check_kind(info)
        _check_sizes(infos, limits)
        # What macOS adds when it packs a folder says nothing about a model.
        self.members = {
            info.filename: info
            for info in infos
            if not info.is_dir() and "__MACOSX" not in info.filename.split("/") and not _is_finder_file(info)
        }

    def refuse_nested(self, allowed: str = "") -> None:
        """Raises Refused if a file other than `allowed` is a zip itself, whatever its name says."""
        for name in self.members:
            if name != allowed and (name.lower().endswith(".zip") or self._begins(name) == ZIP_MAGIC):
                raise Refused(f"'{_shown(name)}' is a zip inside the zip; pack the model file itself.")

    def read(self, name: str, most: int) -> bytes:
        """The content of a small file. Raises Refused if it has more than `most` bytes or is damaged."""
        if self.members[name].file_size > most:
            raise Refused(f"'{_shown(name)}' has {self.members[name].file_size:,} bytes; at most {most:,} are read.")
        return b"".join(self._chunks(name, most))

    def extract(self, name: str, target: Path) -> None:
        """Writes the content to `target`, a name of our own. Raises Refused as `read` does."""
        with target.open("wb") as file:
            for chunk in self._chunks(name, self._limits.bytes):
                file.write(chunk)

    def _chunks(self, name: str, most: int) -> Iterator[bytes]:
        size = 0
        with _damage_told(), self._archive.open(self.members[name]) as member:
            while chunk := member.read(_CHUNK):
                size += len(chunk)
                # The size declared in the directory is the packer's word only.
                if size > most:
                    raise Refused(f"'{_shown(name)}' unpacks to more than {most:,} bytes.")
                yield chunk

    def _begins(self, name: str) -> bytes:
        with _damage_told(), self._archive.open(self.members[name]) as member:
            return member.read(len(ZIP_MAGIC))


@contextmanager
def open_archive(file: Path, limits: Limits) -> Iterator[Archive]:
    """The checked archive. Raises Refused with what is wrong with it."""
    with _damage_told():
        archive = zipfile.ZipFile(file)
    with archive:
        yield Archive(archive, limits)


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except _BROKEN:
        raise Refused("The zip is damaged or was cut off; save the model and upload it again.") from None


def _check_name(info: zipfile.ZipInfo, seen: set[str]) -> None:
    name = info.orig_filename
    path = PurePosixPath(name)
    if path.is_absolute() or name[1:2] == ":" or name.startswith("\\"):
        raise Refused(f"The zip holds the absolute path '{_shown(name)}'; its names must be relative.")
    if ".." in name.replace("\\", "/").split("/"):
        raise Refused(f"The zip holds '{_shown(name)}', which leads out of its folder by '..'.")
    if "\0" in name or "\\" in name or not path.parts:
        raise Refused(f"The zip holds the name '{_shown(name)}', which is no file name.")
    # Two names that some system takes for one would let one file pass for another.
    key = str(path).casefold()
    if key in seen:
        raise Refused(f"The zip holds '{_shown(name)}' twice.")
    seen.add(key)


def _check_kind(info: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise Refused(f"'{_shown(info.filename)}' in the zip is a symbolic link; pack the file itself.")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"'{_shown(info.filename)}' in the zip is a device, not a file.")
    if info.flag_bits & _ENCRYPTED:
        raise Refused("The zip is encrypted; pack it without a password.")
    if info.compress_type not in _COMPRESSIONS:
        raise Refused(f"'{_shown(info.filename)}' is packed by a rare method; pack it as a plain zip (deflate).")


def _check_sizes(infos: list[zipfile.ZipInfo], limits: Limits) -> None:
    total = sum(info.file_size for info in infos)
    if total > limits.bytes:
        raise Refused(f"The zip unpacks to {total:,} bytes; at most {limits.bytes:,} are read.")
    for info in infos:
        if info.file_size > _RATIO_FREE_BYTES and info.file_size > _MOST_RATIO * info.compress_size:
            raise Refused(
                f"'{_shown(info.filename)}' unpacks to more than {_MOST_RATIO} times its size, as no model does."
            )


def _is_finder_file(info: zipfile.ZipInfo) -> bool:
    return PurePosixPath(info.filename).name == ".DS_Store"


def _shown(name: str) -> str:
    """A name from the zip, fit for a sentence."""
    printable = "".join(sign if sign.isprintable() else "?" for sign in name)
    return printable if len(printable) <= 80 else f"{printable[:77]}…"
