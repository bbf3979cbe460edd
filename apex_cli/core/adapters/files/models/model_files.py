"""Models on disk: versions, a pointer to the one in use, and the predictions that are waiting for their bars.

``state/models/`` holds, readable by the owner alone and each written whole or not at all:

- ``model-0001.skops``: two or three fitted estimators in the skops format, which is data: arrays and names of classes,
  no pickle, so that reading one runs no code of the file. Only scikit-learn's own classes and those named in
  ``TRUSTED`` are built; a file that asks for any other is refused unread.
- ``model-0001.json``: what is known of it, with the SHA-256 of the file above, which finds damage.
- ``current.json``: the version in use. ``predictions.json``: predictions, resolved or not. ``outcomes.json``: what
  trades on predictions brought.

A model is used only by the scikit-learn release (major.minor) and on the columns that it was fitted with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from apex_cli.core.adapters.atomic_file import FILE_MODE, ensure_private_dir, read_bytes, write_atomically
from apex_cli.core.errors import ApexError, BusyError, ExitStatus
from apex_cli.core.model.prediction import ModelInfo, ModelOutcome, Pointer, Prediction

TRUSTED = frozenset(
    {
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)
"""Parts of scikit-learn's estimators that skops, in one release or another, does not trust by itself."""

LIBRARIES = ("scikit-learn", "numpy", "skops", "TA-Lib")
T = TypeVar("T")


class ModelError(ApexError):
    """A stored model cannot be used."""

    status = ExitStatus.REFUSED


class ModelFiles:
    """The versions in one folder."""

    def __init__(self, folder: Path, on_damage: Callable[[str], None] = lambda _: None) -> None:
        """Look into *folder*, which is made when something is first stored; *on_damage* hears of each bad file once."""
        self.folder = folder
        self._on_damage = on_damage
        self._damaged: set[Path] = set()

    def versions(self) -> Sequence[ModelInfo]:
        """Return what is known of every stored model, oldest first; unreadable ones are left out."""
        found = [self._read(path, ModelInfo) for path in sorted(self.folder.glob("model-*.json"))]
        return sorted((info for info in found if info is not None), key=lambda info: info.version)

    def pointer(self) -> Pointer | None:
        """Return which version is in use, None when there is none; a damaged pointer means the newest version."""
        pointer = self._read(self.folder / "current.json", Pointer)
        if pointer is None and (known := self.versions()):
            return Pointer(version=known[-1].version)
        return pointer

    def point_to(self, pointer: Pointer) -> None:
        """Use another version from now on."""
        self._write("current.json", msgspec.json.encode(pointer))

    def save(self, models: dict[str, Any], info: ModelInfo, *, keep: int) -> ModelInfo:
        """Store *models* as the next version, use it, drop all but *keep* versions, and return what is known of it.

        Raises:
            ModelError: what was made could not be read back; nothing was changed.
        """
        import skops.io

        content: bytes = skops.io.dumps(models)
        version = self._next_version()
        _models_in(content, version)
        info = replace(
            info,
            version=version,
            libraries={name: installed(name) for name in LIBRARIES},
            sha256=hashlib.sha256(content).hexdigest(),
        )
        self._write(f"{_stem(info.version)}.skops", content)
        self._write(f"{_stem(info.version)}.json", msgspec.json.format(msgspec.json.encode(info)))
        self.point_to(Pointer(version=info.version))
        for old in self.versions()[:-keep]:
            for ending in ("json", "skops"):
                (self.folder / f"{_stem(old.version)}.{ending}").unlink(missing_ok=True)
        return info

    def load(self, version: int, features: Sequence[str]) -> dict[str, Any]:
        """Return the models of *version*.

        Raises:
            ModelError: it is missing or damaged, holds something else than models, or was fitted by another release
                of scikit-learn or on other columns than *features*.
        """
        path = self.folder / f"{_stem(version)}.skops"
        info = self._read(path.with_suffix(".json"), ModelInfo)
        if info is None:
            raise _unusable(version, f"{path.with_suffix('.json')} is missing or damaged")
        release = installed("scikit-learn")
        fitted = info.libraries.get("scikit-learn", "")
        if fitted.split(".")[:2] != release.split(".")[:2]:
            raise _unusable(version, f"it was fitted with scikit-learn {fitted}, and {release} is installed")
        if info.features != tuple(features):
            raise _unusable(version, "it was fitted on other features than this version of apex computes")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _unusable(version, f"{path} cannot be read: {error.strerror}") from None
        if hashlib.sha256(content).hexdigest() != info.sha256:
            raise _unusable(version, f"{path} is damaged: its SHA-256 is not that of {path.stem}.json")
        return _models_in(content, version)

    def predictions(self) -> Sequence[Prediction]:
        """Return the stored predictions, oldest first; none when the file is damaged."""
        return self._read(self.folder / "predictions.json", tuple[Prediction, ...]) or ()

    def keep_predictions(self, predictions: Sequence[Prediction]) -> None:
        """Store *predictions* instead of those before."""
        self._write("predictions.json", msgspec.json.encode(predictions))

    def outcomes(self) -> Sequence[ModelOutcome]:
        """Return the stored outcomes of trades, oldest first; none when the file is damaged."""
        return self._read(self.folder / "outcomes.json", tuple[ModelOutcome, ...]) or ()

    def keep_outcomes(self, outcomes: Sequence[ModelOutcome]) -> None:
        """Store *outcomes* instead of those before."""
        self._write("outcomes.json", msgspec.json.encode(outcomes))

    @contextmanager
    def training(self) -> Iterator[None]:
        """Hold the right to train: one process at a time.

        Raises:
            BusyError: another process trains.
        """
        from filelock import FileLock, Timeout

        ensure_private_dir(self.folder)
        lock = FileLock(self.folder / "train.lock", mode=FILE_MODE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError("training", "Another process trains a model.", hint="Wait until it is done.") from None
        try:
            yield
        finally:
            lock.release()

    def _next_version(self) -> int:
        """Return a number that no file here ever had, readable or not."""
        numbers = [
            int(path.stem.partition("-")[2]) for path in self.folder.glob("model-*.*") if path.stem[6:].isdigit()
        ]
        return max(numbers, default=0) + 1

    def _read(self, path: Path, kind: type[T]) -> T | None:
        try:
            content = read_bytes(path)
            return None if content is None else msgspec.json.decode(content, type=kind)
        except (ApexError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if path not in self._damaged:
                self._damaged.add(path)
                self._on_damage(f"Warning: {path} is damaged and left out. apex model status shows what there is.")
            return None

    def _write(self, name: str, content: bytes) -> None:
        ensure_private_dir(self.folder)
        write_atomically(self.folder / name, content)


def _models_in(content: bytes, version: int) -> dict[str, Any]:
    import skops.io

    try:
        strange = set(skops.io.get_untrusted_types(data=content)) - TRUSTED
        models = None if strange else skops.io.loads(content, trusted=sorted(TRUSTED))
    except Exception as error:  # a file made to confuse may raise anything
        raise _unusable(version, f"it cannot be read: {type(error).__name__}") from error
    if strange:
        raise _unusable(version, f"it asks for classes that no model of apex has: {', '.join(sorted(strange)[:3])}")
    if not isinstance(models, dict) or set(models) - {"target"} != {"direction", "probability"}:
        raise _unusable(version, "it does not hold the models of apex")
    return models


def _unusable(version: int, why: str) -> ModelError:
    return ModelError(
        "model_unusable",
        f"Model {version} cannot be used: {why}.",
        hint="apex model train makes a new one; apex model rollback goes back to the one before.",
        details={"version": version},
    )


def _stem(version: int) -> str:
    return f"model-{version:04d}"
