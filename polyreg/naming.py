"""Names of runs: what was given besides the defaults, in few words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from polyreg.text import text, without_secrets

# Options in the words of a run's name, in their order; where the work runs is not among them.
TRAIN_WORDS = {
    "degree": "degree {}",
    "learning_rate": "rate {}",
    "noise": "noise {}",
    "coefficients": "truth {}",
    "inputs": "{} inputs",
    "basis": "{}",
    "optimizer": "{}",
    "momentum": "momentum {}",
    "batch_size": "batch {}",
    "tolerance": "tolerance {}",
    "stop": "stop {}",
    "max_steps": "at most {} steps",
    "epochs": "{} epochs",
    "missing": "missing {}",
    "dtype": "{}",
    "seed": "seed {}",
}
SWEEP_WORDS = {
    "degrees": "degrees {}",
    "learning_rates": "rates {}",
    "batch_sizes": "batches {}",
    "noises": "noises {}",
    "bases": "{}",
    "optimizers": "{}",
} | {option: words for option, words in TRAIN_WORDS.items() if option != "degree"}
FIT_WORDS = {
    "by": "by {}",
    "interact": "own curves by {}",
    "same_degree": "same degree",
    "pool": "pool {}",
    "terms": "terms {}",
    "degrees": "degrees {}",
    "fix": "{}",
    "through": "through {}",
    "slope": "slope {}",
    "weights": "weights {}",
    "sigma": "sigma {}",
    "sigma_x": "sigma of x {}",
    "swap": "swapped",
    "loss": "{}",
    "criterion": "by {}",
    "interaction_degree": "interactions to {}",
    "intercept": "intercept {}",
    "ridge": "ridge {}",
    "precision": "{}",
    "level": "level {}",
    "missing": "missing {}",
}
LONGEST_WORD, LONGEST_NAME = 40, 250  # characters: of an option in a name, of a name in MLflow


def telling(config: Any, words: Mapping[str, str], always: Collection[str] = ()) -> list[str]:
    """What a config has besides the defaults, and `always`, in the words of a run's name."""
    default = {f.name: f.default for f in fields(config)}
    told = [
        word.format(text(value))
        for option, word in words.items()
        if (value := getattr(config, option, default.get(option))) != default.get(option)
        or option in always
    ]
    return [_cut(word, LONGEST_WORD) for word in told]


def variables(target: str, features: Sequence[str]) -> str:
    """`y ~ a + b`: what is explained by what."""
    more = f" + {len(features) - 4} more" if features[4:] else ""
    return f"{target} ~ {' + '.join(features[:4]) or '1'}{more}"


def run_name(*parts: str) -> str:
    return _cut(" · ".join(" ".join(part.split()) for part in parts), LONGEST_NAME)


def _cut(words: str, most: int) -> str:
    """At most so many characters; a list is cut between two values."""
    if len(words) <= most:
        return words
    kept = words[: most - 3]
    return f"{kept[: kept.rfind(',') + 1] or kept}..."


def last_part(address: str) -> str:
    """The name of a file or a folder, of this machine or at an address, without its secrets."""
    return Path(without_secrets(address).partition("?")[0]).name or address
