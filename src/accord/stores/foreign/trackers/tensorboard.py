"""TensorBoard: event files in ``tensorboard.events`` of the run's folder, by tensorboard's own record writer.

``tensorboard --logdir runs`` shows every run under its name. Neither torch nor tensorflow is used; of
tensorboard only its protocol, its writer and its reader, which do without.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from io import BufferedWriter
from pathlib import Path
from typing import Any

from accord.errors import ContractError
from accord.stores.files import disk, make_folder
from accord.stores.foreign.trackers.rows import About, Ending, Row, package

__all__ = ["FOLDER", "TensorBoard"]

FOLDER = "tensorboard.events"  # with a dot: no stage can be called that

_Point = tuple[str, int, float]


class TensorBoard:
    """A new event file for each follower; rows are on disk when ``send`` returns."""

    def __init__(self) -> None:
        self._file: BufferedWriter | None = None
        self._writer: Any = None
        self._folder = Path()

    def begin(self, about: About) -> None:
        self._folder = about.folder / FOLDER
        make_folder(self._folder)
        first = next((tag for tag, _, _ in _points(self._folder)), "") != "plan/text_summary"
        path = self._folder / f"events.out.tfevents.{time.time_ns():020d}.{os.getpid()}"
        with disk(path):
            self._file = path.open("xb")
        self._writer = package("tensorboard.summary.writer.record_writer").RecordWriter(self._file)
        proto = package("tensorboard.compat.proto.event_pb2")
        self._put(proto.Event(wall_time=time.time(), file_version="brain.Event:2"))
        if first:
            plan = "\n".join(f"    {line}" for line in about.toml.splitlines())
            self._put(_event(Row(0, "", 0, time.time(), {}, {"plan": plan})))
        self._sync()

    def send(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._put(_event(row))
        self._sync()

    def held(self, sent: int) -> int:
        return sent

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        if not rows:
            return []
        there = set(_points(self._folder))
        return [row for row in rows if not there.issuperset(_points_of(row))]

    def close(self, ending: Ending) -> None:
        """An event file does not say how a run ended; the texts do."""
        del ending
        self._sync()
        if self._file is not None:
            self._file.close()

    def _put(self, event: Any) -> None:
        if self._writer is None:
            raise ContractError("the caller of TensorBoard", "begin comes before send", "no open file")
        with disk(self._folder):
            self._writer.write(event.SerializeToString())

    def _sync(self) -> None:
        if self._file is not None:
            with disk(self._folder):
                self._file.flush()
                os.fsync(self._file.fileno())


def _event(row: Row) -> Any:
    summary = package("tensorboard.compat.proto.summary_pb2")
    values = [summary.Summary.Value(tag=tag, simple_value=value) for tag, value in row.scalars.items()]
    values += [_text(tag, text) for tag, text in row.texts.items()]
    event = package("tensorboard.compat.proto.event_pb2").Event
    # One event for a row: its record is whole or torn, so a row is there with all its figures or not at all.
    return event(wall_time=row.wall, step=row.step, summary=summary.Summary(value=values))


def _text(tag: str, text: str) -> Any:
    summary = package("tensorboard.compat.proto.summary_pb2")
    tensors = package("tensorboard.compat.proto.tensor_pb2")
    shapes = package("tensorboard.compat.proto.tensor_shape_pb2")
    types = package("tensorboard.compat.proto.types_pb2")
    one = shapes.TensorShapeProto(dim=[shapes.TensorShapeProto.Dim(size=1)])
    tensor = tensors.TensorProto(
        dtype=types.DT_STRING, string_val=[text.encode("utf-8", "replace")], tensor_shape=one
    )
    plugin = summary.SummaryMetadata.PluginData(plugin_name="text")
    return summary.Summary.Value(
        tag=f"{tag}/text_summary", tensor=tensor, metadata=summary.SummaryMetadata(plugin_data=plugin)
    )


def _points_of(row: Row) -> set[_Point]:
    tags = [*row.scalars, *(f"{tag}/text_summary" for tag in row.texts)]
    return {(tag, row.step, row.wall) for tag in tags}


def _points(folder: Path) -> Iterator[_Point]:
    """What the event files hold; the reader stops at a torn end of a file, as TensorBoard does."""
    reader = package("tensorboard.backend.event_processing.event_file_loader").EventFileLoader
    for path in sorted(folder.glob("*tfevents*")):
        for event in reader(str(path)).Load():
            yield from ((value.tag, event.step, event.wall_time) for value in event.summary.value)
