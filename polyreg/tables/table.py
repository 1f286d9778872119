"""The user's table as a stream of blocks of float64 columns.

No more is held than a few blocks and a sample.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from threading import Thread
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from polyreg.config import FitConfig
from polyreg.errors import BadTable
from polyreg.fields import Reading
from polyreg.polynomials.predictor import is_dated
from polyreg.tables.columns import features_of, require_columns, require_numbers
from polyreg.tables.files import File, sha256
from polyreg.tables.formats.cells import codes_of
from polyreg.tables.formats.dates import is_time, units_of
from polyreg.tables.listing import find
from polyreg.tables.missing import MissingRows
from polyreg.tables.opening import Each, decided, read_through, sound, tried, typed
from polyreg.tables.parts import Codes, Part, Piece, as_float64
from polyreg.tables.rows import Read, Rows, Survey
from polyreg.tables.sampling import Profile
from polyreg.tables.sampling.footers import footer, spread
from polyreg.tables.variables import Functions
from polyreg.tables.variables.possible import require_possible
from polyreg.tables.words import lexicon_of

# A part is as many row groups as make this, or as make MOST_PARTS of any table.
PART_ROWS, PART_BYTES, MOST_PARTS = 2**20, 1 << 26, 2**14
NULL, EPOCH = pa.null(), "days since 1970-01-01"
AT_ONCE = 16  # files that are opened over a network


class Table(Rows):
    """A file, a folder or a glob of files of one format.

    names: the features; `left_out` are the columns that could be none, and why
    """

    _each: Each

    def __init__(
        self,
        root: str,
        files: list[File],
        target: str | None,
        features: Sequence[str],
        weights: str | None,
        exclude: Sequence[str],
        units: Mapping[str, str] | None,
        is_sigma: bool = False,
        more: Sequence[str] = (),
        keys: Sequence[str] = (),
        words: Mapping[str, Any] = MappingProxyType({}),
    ):
        self.keys = {name: Codes() for name in keys}
        self.lexicon = words
        more = (*more, *keys)
        self.root = f"{root}/{files[0].name}" if len(files) == 1 else root
        self.target, self.weights, self.is_sigma, self.more = target, weights, is_sigma, (*more,)
        self.skipped = []
        self.format = files[0].kind
        asked = [c for c in (*features, target, weights, *more) if c is not None]
        require_columns(files, [*asked, *(c for c in exclude if c not in asked)])
        if twice := [c for c in exclude if c in asked]:
            raise BadTable(f"--exclude {twice[0]} is asked for, too; choose one")
        self.names, self.left_out = tuple(features), ()
        self.chosen_by_default = not features
        if not features:
            self.names, self.left_out = features_of(files, asked, exclude)
        if self.format != "csv":
            require_numbers(files, self.numbers, self.names)
        # A column that starts empty, or a part that is only a header, tells no types.
        telling = {f.name: f.type for file in files[::-1] for f in file.schema if f.type != NULL}
        self.schema = [(f.name, str(telling.get(f.name, f.type))) for f in files[0].schema]
        for name in filter(None, (target, weights, *more)):
            if name not in self.keys and is_time(telling.get(name, NULL)):
                raise BadTable(
                    f"column {name} is not a number: in {files[0].name} it holds dates, which can "
                    "be features alone; convert it, or choose other columns"
                )
        self._files, self.files = files, tuple(f.found.path for f in files)
        self.title = files[0].name if len(files) == 1 else f"{len(files):,} files"
        self.size = sum(f.stamp[0] for f in files)
        self.units = self._units(units, [c for c in self.names if is_time(telling.get(c, NULL))])
        self._hash: Future[str] | None = None
        self._digests: Iterable[str] | None = None

    @classmethod
    def open(
        cls,
        data: str,
        target: str | None,
        features: Sequence[str] = (),
        weights: str | None = None,
        missing: str = "refuse",
        skip_bad_files: bool = False,
        each: Each | None = None,
        *,
        exclude: Sequence[str] = (),
        reading: Reading | None = None,
        units: Mapping[str, str] | None = None,
        is_sigma: bool = False,
        more: Sequence[str] = (),
        keys: Sequence[str] = (),
        as_functions: bool = False,
        levels: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> "Table":
        """Finds the files, reads their first blocks or footers, and checks names and types.

        Without features, all other columns of numbers or dates are, in the file's order. Files that
        cannot be read are refused or, by a pass more, found and left out. `each` is who opens the
        files; `units` are those of dates that a model knows; `is_sigma`: the weights are
        standard uncertainties; `more`: columns that are read besides, `keys`: as codes;
        `as_functions`: features and target may be functions of columns, such as log(x), and words;
        `levels`: those that a model knows of features that are words.
        """
        root, found = find(data)
        if each is None:
            each = map if found[0].fs is None else at_once
        reading = reading or Reading()
        asked = [c for c in (*features, target, weights, *more, *keys) if c is not None]
        opening = partial(File.open, reading, asked)
        bad: list[str] = []
        if skip_bad_files:
            files, bad = sound(each(tried(opening), found))
        else:
            files = list(each(opening, found))

        names, title = files[0].schema.names, files[0].name
        functions = Functions.of(features, target, names, title) if as_functions else None
        if functions:
            features, outcome = functions.columns, functions.outcome
            target = outcome.column if outcome else None
            asked = [c for c in (*features, target, weights, *more, *keys) if c is not None]
        numbers = [c for c in asked if c not in keys]

        def made(files: list[File], features: Sequence[str] = features) -> Table:
            table = cls(
                root, files, target, features, weights, exclude, units, is_sigma, more, keys, words
            )
            table.missing, table._each = missing, each
            table.codes = codes_of(reading.missing_values)
            if functions:
                table.apply(functions)
            return table

        require_columns(files, asked)
        besides = (*exclude, *keys)
        files = decided(files, numbers if features else None, besides, reading, each)
        plain = functions.plain if functions else features if as_functions else ()
        words = lexicon_of(files, plain, levels, reading.missing_values)
        table = made(files)
        if skip_bad_files:
            reading_all = tried(partial(read_through, table.columns, table.numbers))
            files, unread = sound(each(reading_all, files))
            if unread:
                table = made(files, table.inputs)
            table.skipped = bad + unread
        return table

    @classmethod
    def of(cls, config: FitConfig, each: Each | None = None) -> "Table":
        """The table that these options mean."""
        made = cls.open(
            config.data,
            config.target,
            config.features,
            config.weighed_by,
            config.missing,
            config.skip_bad_files,
            each,
            exclude=config.exclude,
            reading=config.reading,
            is_sigma=bool(config.sigma),
            more=config.more_columns,
            keys=config.by,
            as_functions=True,
        )
        require_possible(made, config)
        return made

    def _units(self, known: Mapping[str, str] | None, dated: Sequence[str]) -> dict[str, str]:
        """Of the columns that are used: dates since their first, others as the header tells.

        known: those of a model, which may be none. Raises BadTable where it knows a column of
        dates as one of numbers.
        """
        text = self._files[0].text
        found = dict(text.dialect.units) if text else {}
        for name in dated:
            if known is not None and not is_dated(known.get(name, "")):
                raise BadTable(
                    f"column {name} of {self.title} holds dates, and the model was fitted to "
                    "numbers; give it the same kind of column"
                )
            batches = (batch for file in self._files for batch in file.batches([name]))
            units = (units_of(batch.column(0).drop_null()[:1000]) for batch in batches)
            found[name] = (known or {}).get(name) or next(filter(None, units), EPOCH)
        return {name: found[name] for name in self.columns if name in found}

    def described(self) -> str:
        """How a text table was read, in words; "" of other formats."""
        told = dict.fromkeys(file.described() for file in self._files if file.text)
        more = f", and {len(told) - 1} other ways" if len(told) > 1 else ""
        return f"{next(iter(told))}{more}" if told else ""

    def _spelling(self, gaps: MissingRows) -> str:
        number, row, column = gaps.where
        return self._files[number].cell(column, row)

    def leave_out(self, names: Sequence[str], why: str) -> None:
        super().leave_out(names, why)
        vars(self).pop("_groups", None)

    def survey(self, seed: int = 0) -> Survey:
        return self.survey_from_footers(seed) or super().survey(seed)

    @cached_property
    def _groups(self) -> list[tuple[list[int], list | None]]:
        """Of each Parquet file: the rows of its groups, and its bounds."""
        return list(self._each(partial(footer, self.columns), self._files))

    def survey_from_footers(self, seed: int = 0) -> Survey | None:
        """The survey by Parquet's footers, None where only a whole pass can be sure.

        The sample is then of at most four row groups, spread evenly, or more where these are small.
        """
        # Bounds are those of the rows that stay.
        if self.format != "parquet" or self.missing == "drop" or self.codes or self.functions:
            return None
        pieces, rows = [], []
        for number, (file, (counts, _)) in enumerate(zip(self._files, self._groups, strict=True)):
            before = 0
            for g, count in enumerate(counts):
                if count:
                    pieces.append(Piece(file, number, (g,), before))
                    rows.append(count)
                before += count
        bounds = [bounds for counts, bounds in self._groups if sum(counts)]
        if not rows or None in bounds:
            return None
        gaps, profile = MissingRows(), Profile(seed, len(self.columns))
        for place, arrays, _ in self._pieces([pieces[i] for i in spread(rows)]):
            profile.add(place, arrays, self._kept(gaps, place, arrays))
        if gaps.missing == gaps.rows:
            return None
        low, high = np.moveaxis(np.array(bounds), 2, 0)
        return self._survey(sum(rows), low.min(axis=0), high.max(axis=0), profile.sample())

    def parts(self) -> list[Part]:
        """The table in parts of about equal size, the same whoever reads them."""
        if self.format != "parquet":
            pieces = [Piece(f, n) for n, f in enumerate(self._files)]
            sizes, least = [piece.file.stamp[0] for piece in pieces], PART_BYTES
        else:
            pieces, sizes, least = [], [], PART_ROWS
            for number, (file, (counts, _)) in enumerate(
                zip(self._files, self._groups, strict=True)
            ):
                before = 0
                for g, count in enumerate(counts):
                    pieces.append(Piece(file, number, (g,), before))
                    sizes.append(count)
                    before += count
        found: list[list[Piece]] = []
        rows: list[int] = []
        least, room = max(least, sum(sizes) // MOST_PARTS), 0
        for piece, size in zip(pieces, sizes, strict=True):
            if room <= 0:
                found.append([])
                rows.append(0)
                room = least
            last = found[-1][-1] if found[-1] else None
            if last and last.number == piece.number:  # one reading
                assert last.groups and piece.groups
                found[-1][-1] = last._replace(groups=last.groups + piece.groups)
            else:
                found[-1].append(piece)
            room -= size
            rows[-1] += size if self.format == "parquet" else 0
        return [Part(self, *one) for one in zip(found, rows, strict=True)]

    def _read(self, exact: bool = False) -> Read:
        self._begin_hash()
        pieces = [Piece(file, number) for number, file in enumerate(self._files)]
        yield from self._pieces(pieces, exact)

    def _pieces(self, pieces: list[Piece], exact: bool = False) -> Read:
        files = [piece.file for piece in pieces]
        self._require_unchanged(files)
        for piece in pieces:
            yield from piece.read(self.columns, self.units, exact, {**self.keys, **self.lexicon})
        self._require_unchanged(files)

    def records(
        self, kinds: Mapping[str, pa.DataType]
    ) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """All rows, all their columns, and x (n, D), nan where a value is missing.

        Text is of these kinds, or as it stands; other formats have their own. Raises BadCell, with
        its column, where a cell is not of the kind.
        """
        self._require_unchanged(self._files)
        every = [name for name, _ in self.schema]
        for file in self._files:
            before = 0
            for batch in file.batches(every, numbers=()):
                columns = dict(zip(every, batch.columns, strict=True))
                numbers = [c for c in self.inputs if c not in self.lexicon]
                meant = file.meant(columns, numbers, before)
                before += batch.num_rows
                read = {
                    c: self._uncoded(as_float64(meant[c], self.units.get(c, ""))) for c in numbers
                }
                x = [read[c] if c in read else self.lexicon[c](columns[c]) for c in self.inputs]
                if file.text:
                    kept = [typed(file, c, a, kinds.get(c)) for c, a in columns.items()]
                    batch = pa.record_batch(kept, names=every)
                yield batch, np.column_stack(x)
        self._require_unchanged(self._files)

    def kinds(self) -> dict[str, pa.DataType]:
        """What the columns of a text table are, by their first rows."""
        found: dict[str, pa.DataType] = {}
        for file in self._files:
            for one in file.schema if file.text else ():
                if one.type != NULL and found.get(one.name, one.type) != one.type:
                    found[one.name] = pa.string()
                elif one.type != NULL:
                    found[one.name] = one.type
        return found

    @property
    def is_plain(self) -> bool:
        """Whether text, as it stands, is numbers that everybody reads."""
        dialects = (file.text.dialect for file in self._files if file.text)
        return all(d.numbers.is_plain and d.numbers.decimal == "." for d in dialects)

    def _require_unchanged(self, files: Iterable[File]) -> None:
        for _ in self._each(File.require_unchanged, files):
            pass

    def sha256(self) -> str:
        """What `sha256sum` prints for a file; for several, for what it prints for them.

        That is for the lines `<hash>  <path below the folder>`, sorted by path. Hashing starts
        beside a first pass in this process, and this waits for it.
        """
        return self._hash.result() if self._hash else self._digest()

    def release(self) -> None:
        """Hash the files by those who open them, and read by this process alone from here on."""
        self._hash = Future()
        self._hash.set_result(self._digest())
        self._each = map if self._files[0].found.fs is None else at_once

    def begin_digests(self) -> None:
        """Hash now, where `each` begins at once and not when its answers are asked for."""
        if self._digests is None:
            self._digests = self._each(sha256, self._files)

    def _begin_hash(self) -> None:
        if self._hash is None:
            self._hash = Future()
            Thread(target=_fulfil, args=(self._hash, self._digest), daemon=True).start()

    def _digest(self) -> str:
        self.begin_digests()
        digests = list(self._digests or ())
        self._require_unchanged(self._files)
        if len(digests) == 1:
            return digests[0]
        lines = (f"{d}  {f.name}\n" for d, f in zip(digests, self._files, strict=True))
        return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()


def at_once(function: Callable, items: Iterable) -> Iterator:
    """As map, for what waits for a network."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(function, items)


def _fulfil(promise: "Future[str]", work: Callable[[], str]) -> None:
    try:
        promise.set_result(work())
    except BaseException as error:
        promise.set_exception(error)
