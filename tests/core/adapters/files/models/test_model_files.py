"""Models on disk: what is read back, what is refused, and what survives."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import skops.io
from msgspec.structs import replace
from sklearn.linear_model import LogisticRegression

from apex_cli.core.adapters.files.models.model_files import ModelError, ModelFiles
from apex_cli.core.analysis.features import FEATURES, Samples
from apex_cli.core.analysis.training import train
from apex_cli.core.errors import BusyError
from apex_cli.core.model.prediction import ModelInfo, Pointer, Prediction

AT = datetime(2026, 3, 2, 15, tzinfo=UTC)
INFO = ModelInfo(
    version=0,
    trained_at=AT,
    symbols=("AAPL",),
    samples=600,
    features=FEATURES,
    first_bar=AT,
    last_bar=AT,
    test_from=AT,
    metrics={"direction_accuracy": 0.5},
    libraries={},
)
PREDICTION = Prediction(
    symbol="AAPL", bar_end=AT, version=1, direction=1, probability=0.6, close=50.0, made_at=AT, actual=-1
)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    dice = np.random.default_rng(1)
    rows = dice.normal(size=(600, len(FEATURES)))
    ends = np.arange(600, dtype=np.int64)
    return train(Samples(rows=rows, targets=(rows[:, 0] > 0).astype(np.int64), ends=ends), trees=10).models


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    return ModelFiles(tmp_path / "state" / "models")


def small() -> dict[str, Any]:
    """Return something quick to store, of the right shape."""
    fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    return {"direction": fitted, "probability": fitted}


def test_a_stored_model_says_the_same_as_before(files: ModelFiles, models: dict[str, Any]) -> None:
    info = files.save(models, INFO, keep=5)
    assert info.version == 1
    assert files.pointer() == Pointer(version=1)
    assert set(info.libraries) == {"scikit-learn", "numpy", "skops", "TA-Lib"}
    again = files.load(1, FEATURES)
    rows = np.random.default_rng(2).normal(size=(50, len(FEATURES)))
    for name, model in models.items():
        np.testing.assert_array_equal(again[name].predict_proba(rows), model.predict_proba(rows))
    assert list(files.versions()) == [info]


def test_only_the_owner_reads_any_of_it(files: ModelFiles) -> None:
    files.save(small(), INFO, keep=5)
    files.keep_predictions((PREDICTION,))
    with files.training():
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files.folder.iterdir()}
    assert len(modes) == 5
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700


def test_old_versions_go_and_numbers_never_come_back(files: ModelFiles) -> None:
    for _ in range(4):
        files.save(small(), INFO, keep=2)
    assert [info.version for info in files.versions()] == [3, 4]
    (files.folder / "model-0004.json").write_text("{")
    assert files.save(small(), INFO, keep=2).version == 5


@pytest.mark.parametrize("keep", [0, 10, 1000])
def test_a_damaged_model_is_refused_by_name(files: ModelFiles, keep: int) -> None:
    files.save(small(), INFO, keep=5)
    path = files.folder / "model-0001.skops"
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    with pytest.raises(ModelError, match="is damaged") as caught:
        files.load(1, FEATURES)
    assert "apex model train" in caught.value.hint
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        files.load(1, FEATURES)
    path.with_suffix(".json").write_bytes(b"\x00")
    with pytest.raises(ModelError, match="missing or damaged"):
        files.load(1, FEATURES)


class Evil:
    """Stands for any class that is no model."""

    def __init__(self) -> None:
        self.armed = True


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (skops.io.dumps({"direction": Evil(), "probability": Evil()}), "no model of apex has"),
        (skops.io.dumps([1, 2]), "does not hold the models"),
        (b"no zip file", "cannot be read"),
        (b"\x80\x04\x95\x10", "cannot be read"),
    ],
    ids=["class", "list", "text", "pickle"],
)
def test_a_file_of_somebody_else_is_refused_even_with_a_right_checksum(
    files: ModelFiles, content: bytes, why: str
) -> None:
    import hashlib

    info = files.save(small(), INFO, keep=5)
    (files.folder / "model-0001.skops").write_bytes(content)
    forged = replace(info, sha256=hashlib.sha256(content).hexdigest())
    (files.folder / "model-0001.json").write_bytes(msgspec.json.encode(forged))
    with pytest.raises(ModelError, match=why):
        files.load(1, FEATURES)


def test_what_could_not_be_read_back_is_never_put_into_use(files: ModelFiles) -> None:
    files.save(small(), INFO, keep=5)
    with pytest.raises(ModelError, match="no model of apex has"):
        files.save({"direction": Evil(), "probability": Evil()}, INFO, keep=5)
    assert files.pointer() == Pointer(version=1)
    assert len(list(files.folder.iterdir())) == 3


def test_another_release_or_other_features_make_another_model(files: ModelFiles) -> None:
    info = files.save(small(), INFO, keep=5)
    with pytest.raises(ModelError, match="other features"):
        files.load(1, FEATURES[1:])
    old = replace(info, libraries={**info.libraries, "scikit-learn": "1.5.2"})
    (files.folder / "model-0001.json").write_bytes(msgspec.json.encode(old))
    with pytest.raises(ModelError, match=r"fitted with scikit-learn 1\.5\.2"):
        files.load(1, FEATURES)


def test_a_damaged_pointer_means_the_newest_and_damaged_predictions_mean_none(files: ModelFiles) -> None:
    assert files.pointer() is None
    assert files.predictions() == ()
    files.save(small(), INFO, keep=5)
    files.keep_predictions((PREDICTION,))
    assert files.predictions() == (PREDICTION,)
    for name in ("current.json", "predictions.json"):
        (files.folder / name).write_text('{"half":')
    said: list[str] = []
    again = ModelFiles(files.folder, said.append)
    for _ in range(2):
        assert again.pointer() == Pointer(version=1)
        assert again.predictions() == ()
    assert len(said) == 2
    assert "current.json is damaged" in said[0]


def test_two_processes_never_train_at_once(files: ModelFiles) -> None:
    with files.training(), pytest.raises(BusyError), ModelFiles(files.folder).training():
        raise AssertionError
    with files.training():
        pass
