"""Messages to a store that may be away: sent in order, kept in a folder while they cannot be.

A folder holds about.json and, a message each, 000001.json and so on; its files lie in 000001/.
"""

import contextlib
import itertools
import json
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from polyreg.errors import Unsent

FOLDER = "unsent"
ABOUT = "about.json"
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0  # seconds between two tries
PLACEHOLDER = re.compile("unsent-[0-9a-f]{32}")  # a run that the store does not know yet


@dataclass
class Message:
    """One thing to say to a run, which knows how to be sent. Its fields are what JSON can hold.

    Folders of earlier versions are read by them: a field that is renamed parts us from those.
    """

    run: str
    replaces: str = field(default="", kw_only=True)  # of those with the same word, the last is sent

    kinds: ClassVar[dict[str, type["Message"]]] = {}
    do: ClassVar[str]  # its kind, in JSON
    makes_run: ClassVar[bool] = False

    def __init_subclass__(cls, do: str, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.do = do
        Message.kinds[do] = cls

    def send(self, client: Any, payload: Path | None) -> str | None:
        """Say it to the store that `client` reaches.

        payload: a folder of files
        ->  the id of the run that this makes, or a line that the user may want to know
        """
        raise NotImplementedError

    def to_json(self) -> str:
        return json.dumps({"do": self.do} | vars(self))

    @staticmethod
    def from_json(content: str) -> "Message":
        """What `to_json` gave; ValueError where this version knows no such message."""
        fields = json.loads(content)
        try:
            return Message.kinds[fields.pop("do")](**fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no message of this version: {content[:80]}") from error


Send = Callable[[Message, Path | None], str | None]


def folders(name: str) -> Iterator[Path]:
    """Where something may be kept: here, and where here is full or read-only, elsewhere."""
    places: tuple[Callable[[], Path], ...] = (
        lambda: Path.cwd() / FOLDER,
        lambda: Path(tempfile.gettempdir()) / f"polyreg-{FOLDER}",
        lambda: Path.home() / f"polyreg-{FOLDER}",
    )
    for place in places:
        try:
            folder = place() / name
        except (OSError, RuntimeError):  # where we are was removed; no temporary folder; no home
            continue
        yield folder


def scratch(fill: Callable[[Path], None]) -> Path:
    """A new folder that `fill` has filled: a temporary one, or wherever there is room."""
    full = OSError("no folder for temporary files")
    for root in (None, *(folder.parent for folder in folders("scratch"))):
        try:
            if root:
                root.mkdir(parents=True, exist_ok=True)
            made = Path(tempfile.mkdtemp(prefix="polyreg-", dir=root))
        except OSError as error:
            full = error
            continue
        try:
            fill(made)
            return made
        except OSError as error:
            full = error
            shutil.rmtree(made, ignore_errors=True)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    raise full


def _drop(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # others' may be there
        folder.parent.rmdir()


def _write(path: Path, content: str) -> None:
    """Whole, or not at all: a full disk leaves what was there before."""
    new = path.with_name(f".{path.name}")
    try:
        new.write_text(content)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise


def _new(folder: Path) -> Path:
    """Made, under another name where there is one already: an earlier process's."""
    for number in itertools.count(2):
        try:
            made = folder if number == 2 else folder.with_name(f"{folder.name}-{number - 1}")
            made.mkdir(parents=True)
            made.chmod(0o700)  # an address may hold a password
            return made
        except FileExistsError:
            if not made.is_dir():
                raise
    raise AssertionError


class Outbox:
    """Sends messages; what fails is kept in a folder, and tried again with what comes later.

    `send` gives the id of a run that it made. Messages about files and about the rest fail
    separately: a full artifact store keeps no run from ending.
    about: what a later sender has to know, such as the store's address
    """

    def __init__(self, send: Send, name: str, about: Mapping[str, str]):
        self.send, self.about = send, about
        self._folders = folders(name)
        self._ids: dict[str, str] = {}  # of placeholders that have become runs
        self._described: dict[str, str] = {}  # of them, those that the folder tells of
        self._count = 0
        self._pause: dict[bool, float] = {}
        self._next: dict[bool, float] = {}
        self.folder: Path | None = None
        self.error: Exception | None = None
        self.news: list[str] = []  # what was told of the messages that have arrived

    @classmethod
    def of(cls, folder: Path, connect: Callable[[Mapping[str, str]], Send]) -> "Outbox":
        """That which an earlier process left in a folder; ValueError where it left none."""
        try:
            about = json.loads((folder / ABOUT).read_text())
            ids = dict(about["ids"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{folder} holds no unsent log ({error})") from error
        box = cls(connect(about), folder.name, about)
        box.folder, box._ids, box._described = folder, ids, dict(ids)
        box._count = max((int(path.stem) for path in box.pending()), default=0)
        return box

    def put(self, message: Message, payload: Path | None = None) -> str:
        """Send, or keep for later. The payload becomes the outbox's own.

        ->  the id of the run that was made, or of the one that the message is about; for a run
        that could not be made yet, a placeholder
        """
        if message.makes_run:
            message.run = f"unsent-{uuid.uuid4().hex}"
        for path in self.pending() if message.replaces else ():
            if Message.from_json(path.read_text()).replaces == message.replaces:
                self._remove(path)
        files = payload is not None
        waiting = files in self._next or any(self._files(p) is files for p in self.pending())
        try:
            if waiting and time.monotonic() >= self._next.get(files, 0.0):
                waiting = not self._flush(files)
            if waiting or self._unknown(message):
                self.keep(message, payload)
            else:
                self._try(message, payload)
        except Exception as error:
            self._failed(files, error)
            self.keep(message, payload)
        if payload:
            shutil.rmtree(payload, ignore_errors=True)
        return self.id(message.run)

    def id(self, run: str) -> str:
        """A run's id, once the store has given it one."""
        return self._ids.get(run, run)

    def pending(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.json")) if self.folder else []

    def flush(self) -> bool:
        """Try to send all that is kept; whether nothing is left."""
        self.error = None
        sent = [self._flush(files) for files in (False, True)]
        if self.folder and all(sent) and not self.pending():
            _drop(self.folder)
            self.folder = None
        return all(sent)

    def _flush(self, files: bool) -> bool:
        """Those with files, or those without, in their order; up to the first that fails."""
        for path in self.pending():
            payload = path.with_suffix("")
            if self._files(path) is not files:
                continue
            message = Message.from_json(path.read_text())
            if self._unknown(message):
                return False
            try:
                self._try(message, payload if files else None)
            except Exception as error:
                self._failed(files, error)
                with contextlib.suppress(OSError):  # it is there as it was
                    _write(path, message.to_json())  # it may have got halfway
                return False
            self._remove(path)
        self._next.pop(files, None)
        self._pause.pop(files, None)
        return True

    def _files(self, path: Path) -> bool:
        return path.with_suffix("").is_dir()

    def _remove(self, path: Path) -> None:
        path.unlink()
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)

    def _try(self, message: Message, payload: Path | None) -> None:
        if self._ids:
            for file in list(payload.rglob("*.json")) if payload else ():
                before = file.read_text()
                if (content := self._resolved(before)) != before:
                    _write(file, content)
            vars(message).update(vars(Message.from_json(self._resolved(message.to_json()))))
        placeholder = message.run
        made = self.send(message, payload)
        if message.makes_run and made:
            self._ids[placeholder] = made
            if self.folder:
                with contextlib.suppress(OSError):  # or it would be made twice; `keep` tells it
                    self._describe(self.folder)
        elif made:
            self.news.append(made)

    def _resolved(self, text: str) -> str:
        return PLACEHOLDER.sub(lambda found: self.id(found[0]), text)

    def _unknown(self, message: Message) -> bool:
        run = self.id(message.run)
        return not message.makes_run and PLACEHOLDER.fullmatch(run) is not None

    def _failed(self, files: bool, error: Exception) -> None:
        self.error = error
        self._pause[files] = min(2 * self._pause.get(files, FIRST_PAUSE / 2), LAST_PAUSE)
        self._next[files] = time.monotonic() + self._pause[files]

    def keep(self, message: Message, payload: Path | None = None) -> None:
        """In the folder, for a later flush."""
        self._count += 1
        while True:
            try:
                if self.folder is None:
                    self._move(next(self._folders))
                assert self.folder
                path = self.folder / f"{self._count:06}"
                if payload:
                    shutil.copytree(payload, path, dirs_exist_ok=True)
                if self._described != self._ids:
                    self._describe(self.folder)
                _write(path.with_suffix(".json"), message.to_json())
                return
            except OSError as error:
                try:
                    self._move(next(self._folders))
                except StopIteration:
                    raise Unsent(f"no folder can keep what could not be sent: {error}") from error
                except OSError:
                    continue

    def _move(self, folder: Path) -> None:
        """Go on in another folder, with what is in the one so far."""
        folder = _new(folder)
        try:
            if self.folder:
                shutil.copytree(self.folder, folder, dirs_exist_ok=True)
            self._describe(folder)
        except OSError:
            _drop(folder)
            raise
        if self.folder:
            _drop(self.folder)
        self.folder = folder

    def _describe(self, folder: Path) -> None:
        _write(folder / ABOUT, json.dumps({**self.about, "ids": self._ids}))
        self._described = dict(self._ids)


class Unbuffered:
    """In an Outbox's place: sends at once, and raises what the store does not take."""

    def __init__(self, send: Send):
        self._send = send
        self.news: list[str] = []

    def put(self, message: Message, payload: Path | None = None) -> str:
        try:
            made = self._send(message, payload)
        finally:
            if payload:
                shutil.rmtree(payload, ignore_errors=True)
        if made and not message.makes_run:
            self.news.append(made)
        return made if made and message.makes_run else message.run

    def id(self, run: str) -> str:
        return run
