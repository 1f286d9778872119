"""Source of polyreg as a zip, for workers that have only what it imports.

Ray carries `work` by value, so this module imports nothing that a machine of a cluster may lack.
"""

import hashlib
import io
import os
import pickle
import sys
import tempfile
import zipfile
from pathlib import Path


def archive(*packages: Path) -> bytes:
    """Zip of the modules of these packages: the same bytes for the same sources."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for package in packages:
            for module in sorted(package.rglob("*.py")):
                name = module.relative_to(package.parent).as_posix()
                file.writestr(zipfile.ZipInfo(name), module.read_bytes())
    return packed.getvalue()


def work(sources: bytes, function: bytes, *arguments: bytes) -> bytes | tuple:
    """What function(*arguments) gives, a tuple of one or more, all of it pickled, by `sources`."""
    if not any("polyreg-source-" in place for place in sys.path):
        sys.path.insert(0, _placed(sources))
    done = tuple(map(pickle.dumps, pickle.loads(function)(*map(pickle.loads, arguments))))
    return done if len(done) > 1 else done[0]


def _placed(sources: bytes) -> str:
    """The archive as a file, for zipimport; all workers of a machine share one."""
    name = f"polyreg-source-{hashlib.sha256(sources).hexdigest()[:32]}.zip"
    place = Path(tempfile.gettempdir()) / name
    # In a folder that is everybody's, a file of that name may be somebody else's.
    ours = place.is_file() and not place.is_symlink() and place.stat().st_uid == os.getuid()
    if not ours or place.read_bytes() != sources:
        handle, part = tempfile.mkstemp(suffix=".zip", prefix="polyreg-source-")
        with os.fdopen(handle, "wb") as file:
            file.write(sources)
        try:
            os.replace(part, place)
        except OSError:  # somebody else's, in a folder where each may remove only their own
            return part
    return str(place)
