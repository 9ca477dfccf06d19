"""Each tracker in its library's words: TensorBoard's own, and stand-ins for the others."""

from __future__ import annotations

import json
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tracked import ONCE, Killed, followed, planned, write

from accord.errors import Refused
from accord.stores.foreign import trackers
from accord.stores.foreign.trackers import Outage, Row
from accord.stores.foreign.trackers.follow import state_file
from accord.stores.foreign.trackers.rows import About


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return planned(tmp_path / "runs" / "x-1")


# Each tracker


def rows(*steps: int, **texts: str) -> list[Row]:
    return [Row(n, "a", step, 1.7e9 + step, {"a/train/x": 1.0 * step}, texts) for n, step in enumerate(steps)]


ABOUT = About("x-1", "x", "k" * 32, Path(), ("a",), {"name": "x", "stage": [{"lr": 0.5}]}, 'name = "x"\n')


def test_tensorboard_event_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="accord[trackers] is not installed: no event file is written")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    about, folder = ABOUT._replace(folder=tmp_path), tmp_path / "tensorboard.events"
    given = [*rows(1, 2, 3), Row(3, "a", 3, 1.7e9, {}, {"a/decision/ü": "pause: naïve"})]
    first = trackers.tracker("tensorboard")
    first.begin(about)
    first.send(given[:2])
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-3])  # killed in the middle of the second row
    second = trackers.tracker("tensorboard")
    second.begin(about)
    assert second.missing(given) == given[1:]
    second.send(given[1:])
    second.close("done")
    assert second.missing(given) == []
    read = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    assert [(p.step, p.value, p.wall_time) for p in read.Scalars("a/train/x")] == [
        (1, 1.0, 1.7e9 + 1),
        (2, 2.0, 1.7e9 + 2),
        (3, 3.0, 1.7e9 + 3),
    ]
    (text,) = read.Tensors("a/decision/ü/text_summary")
    assert text.tensor_proto.string_val[0].decode() == "pause: naïve"
    assert len(read.Tensors("plan/text_summary")) == 1


class MlflowError(Exception):
    def __init__(self, text: str, error_code: str) -> None:
        super().__init__(text)
        self.error_code = error_code


class MlflowServer:
    """What MlflowClient talks to. It refuses what the real one refuses."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.calls: list[int] = []
        self.fails: list[Exception] = []

    def __call__(self) -> MlflowServer:
        return self

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = name
        return name

    def search_runs(self, at: list[str], query: str) -> list[Any]:
        key = query.partition("'")[2].rstrip("'")
        found = [id_ for id_, run in self.runs.items() if run["tags"]["accord.key"] == key]
        return [SimpleNamespace(info=SimpleNamespace(run_id=id_)) for id_ in found]

    def create_run(self, at: str, tags: dict[str, str], run_name: str) -> Any:
        self.runs["7"] = {"tags": dict(tags), "params": {}, "metrics": [], "name": run_name}
        return SimpleNamespace(info=SimpleNamespace(run_id="7"))

    def update_run(self, run: str, status: str) -> None:
        self.runs[run]["status"] = status

    set_terminated = update_run

    def log_batch(self, run: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        if self.fails:
            raise self.fails.pop()
        size = len(json.dumps([m[:4] for m in metrics]))
        assert len(metrics) <= 1000
        assert max(len(params), len(tags)) <= 100
        assert size <= 1_000_000
        assert all(len(m[0]) <= 250 and set(m[0]).isdisjoint("?*#") for m in metrics)
        self.calls.append(len(metrics))
        self.runs[run]["metrics"] += metrics
        self.runs[run]["params"].update(params)
        self.runs[run]["tags"].update(tags)

    def get_metric_history(self, run: str, key: str) -> list[Any]:
        found = [m for m in self.runs[run]["metrics"] if m[0] == key]
        return [SimpleNamespace(step=step, timestamp=at) for _, _, at, step in found]


@pytest.fixture
def server(monkeypatch: Any) -> MlflowServer:
    server = MlflowServer()
    package, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    package.MlflowClient, package.exceptions = server, SimpleNamespace(MlflowException=MlflowError)  # type: ignore[attr-defined]
    entities.Metric = namedtuple("Metric", "key value timestamp step")  # type: ignore[attr-defined]
    entities.Param = entities.RunTag = lambda key, value: (key, value)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    return server


def test_mlflow_gets_one_run_in_calls_that_it_takes(server: MlflowServer) -> None:
    tracker = trackers.tracker("mlflow")
    tracker.begin(ABOUT)
    trackers.tracker("mlflow").begin(ABOUT)
    assert list(server.runs) == ["7"]
    assert server.runs["7"]["params"] == {"name": "x", "stage.0.lr": "0.5"}
    wide = {f"a/train/{'n' * 200}?{i}": 1.0 for i in range(1500)}
    many = [Row(n, "a", n, 1.7e9 + n, wide, {"a/decision": "t" * 9000}) for n in range(3)]
    server.calls.clear()
    tracker.send(many)
    assert sum(server.calls) == 4500
    tracker.send([Row(3, "a", 3, 1.7e9, {f"a/train/{i}": 1.0 for i in range(2500)}, {})])
    assert server.calls[-3:] == [1000, 1000, 500]
    assert len({m[0] for m in server.runs["7"]["metrics"]}) == 4000, "two names became one"
    assert all(len(text) <= 5000 for text in server.runs["7"]["tags"].values())
    tracker.close("halt")
    assert server.runs["7"]["status"] == "FAILED"


def test_mlflow_says_which_figures_it_lacks(server: MlflowServer) -> None:
    tracker = trackers.tracker("mlflow")
    tracker.begin(ABOUT)
    tracker.send(rows(1, 2))
    both = Row(2, "a", 2, 1.7e9 + 2, {"a/train/x": 2.0, "a/train/y": 9.0}, {})
    assert tracker.missing([*rows(1, 2), both]) == [both._replace(scalars={"a/train/y": 9.0})]


def test_mlflow_out_and_mlflow_refusing(server: MlflowServer) -> None:
    tracker = trackers.tracker("mlflow")
    tracker.begin(ABOUT)
    server.fails = [ConnectionError("reset"), MlflowError("too many requests", "REQUEST_LIMIT_EXCEEDED")]
    for text in ("too many", "reset"):
        with pytest.raises(Outage, match=text):
            tracker.send(rows(1))
    server.fails = [MlflowError("no such user", "PERMISSION_DENIED")]
    with pytest.raises(Refused, match="no such user"):
        tracker.send(rows(1))


class Service:
    """W&B: its server's rows by step, and the part of it that is in our process."""

    Error = type("Error", (Exception,), {})
    errors = SimpleNamespace(
        AuthenticationError=type("AuthenticationError", (Exception,), {}),
        UsageError=type("UsageError", (Exception,), {}),
    )

    class Settings:
        model_fields = ("console", "x_disable_stats", "silent", "save_code")

        def __init__(self, **given: Any) -> None:
            assert set(given) <= set(self.model_fields), "an older version does not know this setting"
            self.given = given

    def __init__(self, offline: bool = False) -> None:
        self.server: dict[int, dict[str, Any]] = {}
        self.offline, self.inits, self.metrics = offline, list[dict[str, Any]](), dict[str, Any]()
        self.step = 0
        self.path = "me/x/k"
        self.queue: list[tuple[int, dict[str, Any]]] = []
        self.exit_code: int | None = None

    def init(self, **given: Any) -> Service:
        self.inits.append(given)
        self.step = max(self.server, default=-1) + 1
        return self

    def define_metric(self, name: str, step_metric: str = "") -> None:
        self.metrics[name] = step_metric

    def log(self, figures: dict[str, Any], step: int, commit: bool) -> None:
        assert commit
        self.step = step + 1
        self.queue.append((step, figures))

    def upload(self) -> None:
        for step, figures in self.queue:
            assert step not in self.server
            self.server[step] = figures
        self.queue = []

    def finish(self, exit_code: int) -> None:
        self.upload()
        self.exit_code = exit_code

    def Api(self, timeout: int) -> Any:
        return SimpleNamespace(run=lambda path: SimpleNamespace(lastHistoryStep=max(self.server, default=-1)))


@pytest.fixture
def service(monkeypatch: Any) -> Service:
    service = Service()
    monkeypatch.setitem(sys.modules, "wandb", service)  # type: ignore[arg-type]
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return service


def test_wandb_rows_over_the_steps_of_their_stage(service: Service) -> None:
    tracker = trackers.tracker("wandb")
    tracker.begin(ABOUT)
    tracker.send(rows(1, 2, **{"a/decision": "on"}))
    tracker.close("halt")
    assert service.server[1] == {"a/step": 2, "a/train/x": 2.0, "a/decision": "on"}
    assert service.metrics == {"a/step": "", "a/*": "a/step"}
    assert service.exit_code == 1
    (given,) = service.inits
    assert (given["project"], given["name"], given["id"], given["resume"]) == ("x", "x-1", "k" * 32, "allow")
    assert given["config"] == ABOUT.plan
    assert given["settings"].given == {
        "console": "off",
        "x_disable_stats": True,
        "silent": True,
        "save_code": False,
    }


def test_wandb_keeps_rows_until_its_server_has_them(service: Service, run: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("accord.stores.foreign.trackers.wandb._ASK", 0.0)
    write(run, 1, 2, 3)
    tracker: Any = trackers.tracker("wandb")
    tracker.close = lambda ending: (_ for _ in ()).throw(Killed())
    with pytest.raises(Killed):
        followed(run, tracker, ONCE)
    assert len(json.loads(state_file(run, "memory").read_text())["waiting"]) == 3
    service.queue.clear()  # killed with it, before anything was uploaded
    write(run, 4)
    followed(run, trackers.tracker("wandb"), ONCE)
    assert [figures["a/step"] for figures in service.server.values()] == [1, 2, 3, 4]
    assert json.loads(state_file(run, "memory").read_text())["waiting"] == []


def test_wandb_whose_server_was_faster_than_the_kill(service: Service, run: Path) -> None:
    write(run, 1, 2, 3)
    tracker: Any = trackers.tracker("wandb")
    tracker.close = lambda ending: (_ for _ in ()).throw(Killed())
    with pytest.raises(Killed):
        followed(run, tracker, ONCE)
    service.upload()
    followed(run, trackers.tracker("wandb"), ONCE)  # upload() asserts that no step comes twice
    assert list(service.server) == [0, 1, 2]


def test_wandb_without_a_login(service: Service, monkeypatch: Any) -> None:
    def init(**given: Any) -> None:
        raise service.errors.AuthenticationError("no key")

    monkeypatch.setattr(service, "init", init)
    with pytest.raises(Refused, match="wandb login"):
        trackers.tracker("wandb").begin(ABOUT)


class TrackioStore:
    """Trackio and its store on this machine; ``full``: it loses what it is given, as it does, in silence."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.waiting: list[dict[str, Any]] = []
        self.inits: list[dict[str, Any]] = []
        self.full = False

    def init(self, **given: Any) -> TrackioStore:
        print("* Trackio project initialized")  # noqa: T201
        self.inits.append(given)
        return self

    def log(self, metrics: dict[str, Any], step: int) -> None:
        self.waiting.append({**metrics, "step": step, "timestamp": "now"})

    def finish(self) -> None:
        self.kept += [] if self.full else self.waiting
        self.waiting = []

    def get_logs(self, project: str, run: str) -> list[dict[str, Any]]:
        assert (project, run) == ("x", "x-1-kkkkkk")
        return [dict(log) for log in self.kept]


@pytest.fixture
def store(monkeypatch: Any) -> TrackioStore:
    store = TrackioStore()
    monkeypatch.setitem(sys.modules, "trackio", store)  # type: ignore[arg-type]
    storage = ModuleType("trackio.sqlite_storage")
    storage.SQLiteStorage = store  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trackio.sqlite_storage", storage)
    monkeypatch.setattr("accord.stores.foreign.trackers.trackio.PACE", 0.0)
    for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    return store


def test_trackio_has_what_it_took(store: TrackioStore, capsys: Any) -> None:
    tracker = trackers.tracker("trackio")
    tracker.begin(ABOUT)
    tracker.send(rows(1, 2, **{"a/decision": "on"}))
    assert store.kept[1] == {"a/train/x": 2.0, "a/decision": "on", "step": 2, "timestamp": "now"}
    assert tracker.missing(rows(1, 2, 3, **{"a/decision": "on"})) == rows(1, 2, 3, **{"a/decision": "on"})[2:]
    assert store.inits[0]["config"] == ABOUT.plan
    assert {given["name"] for given in store.inits} == {"x-1-kkkkkk"}
    assert not store.inits[0]["auto_log_gpu"]
    assert capsys.readouterr().out == ""


def test_trackio_that_loses_rows_in_silence_is_an_outage(store: TrackioStore) -> None:
    tracker = trackers.tracker("trackio")
    tracker.begin(ABOUT)
    store.full = True
    with pytest.raises(Outage, match="did not keep 2 of 2 rows"):
        tracker.send(rows(1, 2))
