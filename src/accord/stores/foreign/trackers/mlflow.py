"""MLflow: metrics, the plan as parameters, texts as tags, into the run that bears our key.

Where to is MLflow's own affair: ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME`` (else the plan's name).
At most 1,000 metrics, 100 parameters, 100 tags and about 1 MB a call, which are the server's limits.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from accord.errors import Refused
from accord.records import JSON
from accord.stores.foreign.trackers.rows import About, Ending, Outage, Row, package

__all__ = ["MLflow"]

_METRICS, _OTHERS, _BYTES = 1000, 100, 1_000_000
_KEY, _PARAM, _TAG = 250, 500, 5000  # characters
_OF_ONE = 120  # bytes of a metric in JSON besides its name, rounded up
_STATUS = {"done": "FINISHED", "halt": "FAILED", "pause": "KILLED", "interrupted": "KILLED"}
_HOPELESS = {
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "PERMISSION_DENIED",
    "RESOURCE_DOES_NOT_EXIST",
    "UNAUTHENTICATED",
}


class MLflow:
    """``send`` returns when the server has the rows."""

    def __init__(self) -> None:
        self._mlflow = package("mlflow")
        self._entities = package("mlflow.entities")
        self._client: Any = None
        self._run = ""

    def begin(self, about: About) -> None:
        with self._asking():
            self._open(about)

    def _open(self, about: About) -> None:
        self._client = self._mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or about.project
        experiment = self._client.get_experiment_by_name(name)
        at = experiment.experiment_id if experiment else self._client.create_experiment(name)
        # Found by its key: a kill between making the run and noting its id leaves no second one.
        found = self._client.search_runs([at], f"tags.`accord.key` = '{about.key}'")
        if found:
            self._run = found[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
        else:
            tags = {"accord.key": about.key}
            self._run = self._client.create_run(at, tags=tags, run_name=about.run).info.run_id
        params = [self._entities.Param(key, value) for key, value in _flat(about.plan)]
        for some in _pieces(params, _OTHERS):
            self._client.log_batch(self._run, params=some)

    def send(self, rows: Sequence[Row]) -> None:
        tags = [
            self._entities.RunTag(_key(f"{name}/{row.step}.{row.number}"), text[:_TAG])
            for row in rows
            for name, text in row.texts.items()
        ]
        metrics = [
            self._entities.Metric(_key(name), value, _millis(row), row.step)
            for row in rows
            for name, value in row.scalars.items()
        ]
        with self._asking():
            for some in _pieces(tags, _OTHERS):
                self._client.log_batch(self._run, tags=some)
            for some in _calls(metrics):
                self._client.log_batch(self._run, metrics=some)

    def held(self, sent: int) -> int:
        return sent

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Asked figure by figure; a text is a tag, and the same tag once more changes nothing."""
        names = dict.fromkeys(name for row in rows for name in row.scalars)
        there = {(name, *point) for name in names for point in self._history(_key(name))}
        left = [
            row._replace(
                scalars={n: v for n, v in row.scalars.items() if (n, row.step, _millis(row)) not in there}
            )
            for row in rows
        ]
        return [row for row in left if row.scalars or row.texts]

    def _history(self, key: str) -> list[tuple[int, int]]:
        with self._asking():
            points = self._client.get_metric_history(self._run, key)
        return [(point.step, point.timestamp) for point in points]

    def close(self, ending: Ending) -> None:
        if ending:
            with self._asking():
                self._client.set_terminated(self._run, status=_STATUS[ending])

    @contextmanager
    def _asking(self) -> Generator[None]:
        """MLflow's errors as ours: those that waiting mends, and those that it does not."""
        try:
            yield
        except self._mlflow.exceptions.MlflowException as error:
            text = " ".join(str(error).split())[:300]
            if error.error_code in _HOPELESS:
                advice = "see MLFLOW_TRACKING_URI and its credentials"
                raise Refused(f"MLflow refuses: {text}\n  {advice}") from error
            raise Outage(text) from error
        # Those of requests are OSErrors; a database that MLflow opens here itself speaks through SQLAlchemy.
        except (OSError, SQLAlchemyError) as error:
            raise Outage(" ".join(str(error).split())[:300]) from error


def _millis(row: Row) -> int:
    return int(row.wall * 1000)


def _key(name: str) -> str:
    """A name that MLflow takes. What it does not take becomes _, with a digest so that two stay two.

    >>> _key("amplify/train/loss"), _key("cost:a?")
    ('amplify/train/loss', 'cost:a_.7c7e')
    """
    parts = re.sub(r"[^/\w.\- :]", "_", name).split("/")
    fit = "/".join(part if part.strip(".") else f"_{part}" for part in parts)[: _KEY - 5]
    return fit if fit == name else f"{fit}.{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:4]}"


def _flat(value: JSON, path: str = "") -> Iterator[tuple[str, str]]:
    """A plan as parameters: ``stage.0.method.name``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{path}.{index}")
    else:
        yield _key(path), str(value)[:_PARAM]


def _pieces(things: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (things[i : i + size] for i in range(0, len(things), size))


def _calls(metrics: Sequence[Any]) -> Iterator[list[Any]]:
    """The metrics in as few calls as the limits allow."""
    call: list[Any] = []
    size = 0
    for metric in metrics:
        more = _OF_ONE + 6 * len(metric.key)  # a character escaped in JSON takes six bytes
        if call and (len(call) == _METRICS or size + more > _BYTES):
            yield call
            call, size = [], 0
        call.append(metric)
        size += more
    if call:
        yield call
