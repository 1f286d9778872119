"""Messages to a store that may be away: sent in order, kept in a folder while they cannot be."""

import contextlib
import json
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# A message is JSON: `do` says what, `run` to which run. Its payload is a folder of files.
Message = dict[str, Any]
Send = Callable[[Message, Path | None], str | None]

FOLDER = "unsent"
ABOUT = "about.json"
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0  # seconds between two tries
PLACEHOLDER = re.compile("unsent-[0-9a-f]{32}")  # a run that the store does not know yet


class Unreachable(Exception):
    """The tracking store or the artifact store cannot take a run; one line says why."""


class Unsent(Exception):
    """A run's log, or a part of it, did not arrive; one line says where it is."""


def folders(name: str) -> Iterator[Path]:
    """Where something may be kept: here, and where here is full or read-only, elsewhere."""
    yield Path.cwd() / FOLDER / name
    yield Path(tempfile.gettempdir()) / f"polyreg-{FOLDER}" / name
    yield Path.home() / f"polyreg-{FOLDER}" / name


def scratch(fill: Callable[[Path], None]) -> Path:
    """A new folder that `fill` has filled: a temporary one, or wherever there is room."""
    for root in (Path(tempfile.gettempdir()), *(folder.parent for folder in folders("scratch"))):
        try:
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


class Outbox:
    """Sends messages; what fails is kept in a folder, and tried again with what comes later.

    `send` gives the id of a run that it made. Messages about files and about the rest fail
    separately: a full artifact store keeps no run from ending.
    about: what a later sender has to know, such as the store's address
    """

    def __init__(self, send: Send, name: str, about: Message):
        self.send, self.about = send, about
        self._folders = folders(name)
        self._ids: dict[str, str] = {}  # of placeholders that have become runs
        self._count = 0
        self._pause: dict[bool, float] = {}
        self._next: dict[bool, float] = {}
        self.folder: Path | None = None
        self.error: Exception | None = None

    @classmethod
    def of(cls, folder: Path, connect: Callable[[Message], Send]) -> "Outbox":
        """That which an earlier process left in a folder; ValueError where it left none."""
        try:
            about = json.loads((folder / ABOUT).read_text())
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder} holds no unsent log ({error})") from error
        box = cls(connect(about), folder.name, about)
        box.folder, box._ids = folder, about["ids"]
        return box

    def put(self, message: Message, payload: Path | None = None) -> str:
        """Send, or keep for later. The payload becomes the outbox's own.

        What was kept, and has the same word in `replaces`, is dropped.

        ->  the id of the run that was made, or of the one that the message is about; for a run
        that could not be made yet, a placeholder
        """
        if message["do"] == "create":
            message["run"] = f"unsent-{uuid.uuid4().hex}"
        for path in self.pending() if message.get("replaces") else ():
            if json.loads(path.read_text()).get("replaces") == message["replaces"]:
                self._remove(path)
        files = payload is not None
        waiting = files in self._next
        try:
            if waiting and time.monotonic() >= self._next[files]:
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
        return self.id(message["run"])

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
            shutil.rmtree(self.folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # others' may be there
                self.folder.parent.rmdir()
            self.folder = None
        return all(sent)

    def _flush(self, files: bool) -> bool:
        """Those with files, or those without, in their order; up to the first that fails."""
        for path in self.pending():
            payload = path.with_suffix("")
            message = json.loads(path.read_text())
            if payload.is_dir() is not files:
                continue
            if self._unknown(message):
                return False
            try:
                self._try(message, payload if files else None)
            except Exception as error:
                self._failed(files, error)
                path.write_text(json.dumps(message))  # it may have got halfway
                return False
            self._remove(path)
        self._next.pop(files, None)
        self._pause.pop(files, None)
        return True

    def _remove(self, path: Path) -> None:
        path.unlink()
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)

    def _try(self, message: Message, payload: Path | None) -> None:
        if self._ids:
            for file in payload.rglob("*.json") if payload else ():
                file.write_text(self._resolved(file.read_text()))
            message.update(json.loads(self._resolved(json.dumps(message))))
        placeholder = message["run"]
        made = self.send(message, payload)
        if message["do"] == "create" and made:
            self._ids[placeholder] = made
            if self.folder:
                self._describe(self.folder)

    def _resolved(self, text: str) -> str:
        return PLACEHOLDER.sub(lambda found: self.id(found[0]), text)

    def _unknown(self, message: Message) -> bool:
        run = self.id(message["run"])
        return message["do"] != "create" and PLACEHOLDER.fullmatch(run) is not None

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
                path.with_suffix(".json").write_text(json.dumps(message))
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
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # an address may hold a password
        self._describe(folder)
        if self.folder:
            shutil.copytree(self.folder, folder, dirs_exist_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder = folder

    def _describe(self, folder: Path) -> None:
        (folder / ABOUT).write_text(json.dumps(self.about | {"ids": self._ids}))
