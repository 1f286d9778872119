"""The description of a run that MLflow's page shows first, in Markdown.

One of ours ends in a comment that no page shows, with a hash of the rest: so a description that
somebody wrote, or changed, is known and kept.
"""

import hashlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence

from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from polyreg.fields import MAX_TAG
from polyreg.polynomials.result import Result

TAG = MLFLOW_RUN_NOTE
SIGNATURE = re.compile(r"\n*<!-- polyreg (\w+) -->$")
ENDED = re.compile(r"\n*\*\*(FAILED|KILLED)\*\*: .*$")
# At the beginning, of a list or a line.
SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&@$]|^[-+=](?=[-+=\s]|$)|^\d(?=\d*[.)]\s)")
ROOM = MAX_TAG - 2000  # what ended the run, escaped, and the signature come to it
EQUATION, OUTCOME = 2000, 500  # characters


def of(outcome: str, result: Result | None = None) -> str:
    """A result's equation, how it came about, and its coefficients: at most ROOM characters.

    Of a fit, with standard errors and intervals; of a training, with the truth and the error where
    the truth is known.
    """
    how = escaped(outcome[:OUTCOME])
    if result is None:
        return how
    # As text: a block of code would not break the line, and would widen MLflow's page.
    equation, *others = map(escaped, result.equations.lines())
    first = [_cut(equation), *(_cut(line, EQUATION // 2) for line in others)]
    if first != [equation, *others]:
        first.append("Every term of it is in coefficients.json.")
    above = "\n\n".join(part for part in (*first, how) if part)
    header, rows = _fitted(result) if result.truth is None else _trained(result)
    return f"{above}\n\n{table(header, rows, ROOM - len(above))}"


def _fitted(result: Result) -> tuple[list[str], list[list[str]]]:
    header = ["term", "estimate", "std error", f"{100 * result.level:g} % low", "high"]
    shown = {"estimate": ".10g", "std_error": ".3g", "low": ".6g", "high": ".6g"}
    if math.isnan(result.solution.rss):  # of a training on a table
        header, shown = ["term", "learned"], {"estimate": ".10g"}
    rows = [
        [row["term"], *("-" if row[k] is None else format(row[k], f) for k, f in shown.items())]
        for row in result.to_dict()["terms"]
    ]
    return header, rows


def _trained(result: Result) -> tuple[list[str], list[list[str]]]:
    rows = [
        [term, f"{estimate:.6g}", f"{truth:.6g}", f"{estimate - truth:+.2g}"]
        for term, truth, estimate in result.against_truth()
    ]
    return ["term", "learned", "truth", "error"], rows


def table(header: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> str:
    """A table of at most `room` characters: whole rows, and how many more there are."""
    head = f"{_row(header)}\n{_row(['---', *['--:'] * (len(header) - 1)])}"
    lines = [_row(map(escaped, row)) for row in rows]
    lengths = itertools.accumulate((len(line) + 1 for line in lines), initial=len(head) + 30)
    kept = sum(length <= room for length in lengths) - 1
    more = f"\n\n... and {len(lines) - kept} more terms" if kept < len(lines) else ""
    return "\n".join([head, *lines[:kept]]) + more


def _row(cells) -> str:
    return f"| {' | '.join(cells)} |"


def _cut(whole: str, room: int = EQUATION) -> str:
    if len(whole) <= room:
        return whole
    return re.sub(r" [-+] (?:(?! [-+] ).)*$", " + ...", whole[:room])


def escaped(content: str) -> str:
    """Somebody's names as they are: in one line, and with nothing that Markdown makes more of."""
    return SPECIAL.sub(lambda found: f"&#{ord(found[0])};", " ".join(content.split()))


def signed(content: str) -> str:
    return f"{content}\n\n<!-- polyreg {_digest(content)} -->"


def is_ours(tags: Mapping[str, str]) -> bool:
    """Whether a run of these tags has no description but what we wrote."""
    content = tags.get(TAG, "")
    found = SIGNATURE.search(content)
    return not content or bool(found and found[1] == _digest(content[: found.start()]))


def ended(tags: Mapping[str, str], status: str, error: str) -> str | None:
    """The description that these tags hold, with a last line that says how the run ended.

    Without that line where there is no error; None where it stays as it is.
    """
    if not is_ours(tags):
        return None
    before = SIGNATURE.sub("", tags.get(TAG, ""))
    content = ENDED.sub("", before)
    if error:
        content = f"{content}\n\n**{status}**: {escaped(error)}".strip("\n")
    return None if content == before else signed(content)


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:8]
