"""The ports: every contract that parts of Accord hold to, in one file (layer 1).

A part is added by writing one file that satisfies one of these protocols and one line in ``catalog.py``;
``accord.testing`` proves that it keeps the promises its docstring makes. Nothing here imports torch at run
time, holds state or decides anything.
"""

# size: every contract in one file, as the architecture has it
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from accord.progress import Progress, Silent
from accord.records import (
    JSON,
    Cost,
    Decision,
    Judgment,
    Kind,
    ModelRef,
    NotMeasured,
    Prompt,
    Question,
    Reading,
    Record,
    Response,
    StepEvent,
)
from accord.records.panels import Item
from accord.records.rows import Batch, Columns, Floats, Group, Row, Text, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Advantaged",
    "Ahead",
    "Ask",
    "Calibrated",
    "Closing",
    "Desk",
    "Draw",
    "Drawing",
    "Feedback",
    "Foreseeing",
    "Grouped",
    "History",
    "How",
    "Indicator",
    "Judged",
    "Learner",
    "Look",
    "Loss",
    "Marking",
    "Memory",
    "Method",
    "Needs",
    "Observed",
    "Out",
    "Overseer",
    "Panelled",
    "Pooled",
    "Queue",
    "Queued",
    "Quoting",
    "Reads",
    "Recording",
    "Referred",
    "Rule",
    "Sampler",
    "Scored",
    "Seated",
    "Shape",
    "Snapping",
    "Source",
    "StepOutcome",
    "Store",
    "Task",
    "Telling",
    "World",
    "WorldPart",
    "WorldStep",
]


# Models


class How(NamedTuple):
    """How to sample. Sample i of a prompt draws from (key, prompt id, i), whatever it is batched with."""

    key: str
    temperature: float = 1.0
    max_tokens: int = 128


class Scored(NamedTuple):
    """For each thing wanted one number per answer token (``score``: per head; ``hidden``: a row per layer),
    and the tokenizer's digest."""

    columns: Mapping[str, Floats]
    tokenizer: str


class Sampler(Protocol):
    """Answers prompts, and says what it can: ``sample, logp, rank, entropy, support, hidden``, or ``score``.

    ``logp``: log-probability of each answer token at the answer's temperature. ``rank``: how many tokens were
    more probable (0 is the greedy choice). ``entropy``: of the next-token distribution, in nats. ``support``:
    1 where the token lies in the smallest set of probability .95, else 0. ``score``: one number per head of a
    reward model, which can nothing else. ``hidden``: the states of every layer at the last token of the
    prompt, [layers + 1, width]; row 0 is the embedding, the last row what the head reads. A prompt that has
    begun in tokens of its own goes on from these.
    """

    @property
    def can(self) -> frozenset[str]: ...

    @property
    def policy(self) -> str:
        """The version of the weights, part of every Response's id."""
        ...

    def encode(self, prompt: Prompt, text: str) -> Response:
        """``text`` as if the model had said it and stopped: rendered and tokenised once, finish ``data``.

        Unsayable where the model has no tokens for it.
        """
        ...

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        """n answers to each prompt, in order. ContractError when the weights have moved on since."""
        ...

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        """One Scored per text; asking for what is not in ``can`` raises ContractError."""
        ...


@runtime_checkable
class Calibrated(Protocol):
    """Beside Sampler, of a reward model: what its own card says of its scores."""

    @property
    def spread_limit(self) -> float | None:
        """The standard deviation of its heads (n − 1) above which it does not know, if measured."""
        ...


class StepOutcome(NamedTuple):
    """One optimizer update. ``pressure_T`` is ∂objective/∂log π of every answer token; ``applied`` is False
    when a non-finite loss or gradient was refused. Terms of weight 0 are figures: accuracy, margin.

    ``logp_T``: log π of the same tokens, as the loss read it before the step; NaN where it did not read it,
    empty where it read none or the learner does not tell.
    """

    terms: Mapping[str, float]
    objective: float
    grad_norm: float
    applied: bool
    pressure_T: Floats
    tokens: int
    logp_T: Floats = np.zeros(0)


class Out(Protocol):
    """What the model computed for one micro-batch, as tensors. What a loss does not read is not computed."""

    @property
    def logp_T(self) -> Tensor:
        """log π of every answer token."""
        ...

    @property
    def sequence_T(self) -> Tensor:
        """The sequence of the micro-batch that each answer token belongs to."""
        ...

    @property
    def score_SK(self) -> Tensor:
        """What each score head says at the last token of each sequence; only where ``Needs.scores`` asks.

        Comparisons leave its zero free: an exported model takes the mean of what it was last taught off it.
        """
        ...

    @property
    def score_TK(self) -> Tensor:
        """What each score head says once each answer token is said; only where ``Needs.scores`` asks.

        Its zero means something: an exported model leaves it as it is.
        """
        ...

    @property
    def value_T(self) -> Tensor:
        """The critic's value of the state in which each answer token was chosen; with ``Needs.critic``."""
        ...


Loss = Callable[[Out, Batch], "Mapping[str, Tensor]"]


class Reads(NamedTuple):
    """A measured column that another model fills: ``want`` is asked of its sampler's ``score``.

    ``model`` as a plan names models; "" is π₀, the model that the plan starts from.
    """

    column: str
    want: str
    model: str = ""


class Needs(NamedTuple):
    """What a method needs to have measured, and of the learner.

    ``columns``: read per answer token and measured before ``batch``: ``ref_logp``, ``old_logp``, ``value``.
    ``scores``: how many score heads ``loss`` reads; the result is then a reward model, not a language model.
    ``critic``: a value network beside the policy, trained with it.
    ``reads``: columns that other models fill, per answer token too.
    ``mismatched``: each of ``columns`` also for every row's prompt with the answer to another prompt, as
    ``mismatched_<column>``, one array per row.
    """

    columns: frozenset[str] = frozenset()
    scores: int = 0
    critic: bool = False
    reads: tuple[Reads, ...] = ()
    mismatched: bool = False


class Task(NamedTuple):
    """What a stage wants of a learner. ``run`` is ``run/stage``; ``by`` says whose answers it learns from."""

    run: str
    seed: int
    needs: Needs = Needs()
    by: Literal["policy", "base", "data"] = "policy"
    progress: Progress = Silent()


class Learner(Protocol):
    """Owns weights, device, precision and accumulation; knows no algorithm."""

    @property
    def version(self) -> str:
        """``run/stage@step``: changes with every update, also one that was refused as non-finite."""
        ...

    def measure(self, rows: Sequence[Row], needs: Needs) -> Mapping[str, tuple[Floats, ...]]:
        """For each column one array per sequence of the rows, over its answer tokens."""
        ...

    def update(self, batch: Batch, step: int, loss: Loss, done: float = 0.0) -> StepOutcome:
        """One optimizer step on ``batch.steps[step]``. Exact under any split into micro-batches.

        ``done``: the share of the stage that lies behind. A schedule goes by it and by the number of updates.
        """
        ...

    def evaluate(self, batch: Batch, step: int, loss: Loss) -> Mapping[str, float]:
        """The terms that ``update`` would report, with nothing changed."""
        ...

    def sampler(self) -> Sampler:
        """A view of this version. Used after an update it raises ContractError."""
        ...

    def publish(self, sampler: Sampler) -> str:
        """Put these weights into a sampler that is not the learner's own; returns the version."""
        ...

    def save(self, to: Path) -> ModelRef:
        """Everything needed to go on to the bit: weights, optimizer, schedule, generator state."""
        ...

    def restore(self, ref: ModelRef) -> None:
        """Become what ``save`` saved."""
        ...

    def export(self, to: Path) -> ModelRef:
        """The result, as a directory that transformers loads as it is."""
        ...


@runtime_checkable
class Closing(Protocol):
    """Beside Learner: it holds more than memory, such as other processes."""

    def close(self) -> None:
        """Let go of it; nothing is asked of the learner any more."""
        ...


@runtime_checkable
class Snapping(Protocol):
    """Beside Learner: keeps what answers, without what it would take to train on from there."""

    @property
    def snapshot_bytes(self) -> int:
        """About what one takes on disk."""
        ...

    def snapshot(self, to: Path) -> ModelRef:
        """The policy into a folder. Equal weights of one version are equal files."""
        ...

    def read(self, at: Path) -> Sampler:
        """Become the policy of a snapshot, to be asked and not to be trained; views before it raise."""
        ...


class Drawing(NamedTuple):
    """Answers that a stage will draw: ``times`` over, ``n`` to each of ``prompts`` of about ``asked`` tokens.

    ``by_source``: they are those of its windows, not of the guard or of held-out prompts.
    """

    times: int
    prompts: int
    n: int
    asked: int
    max_tokens: int
    by_source: bool


class Ahead(NamedTuple):
    """What a stage will have its learner do, as far as can be told before it starts.

    ``window`` and ``batch`` are its first, with verdicts made up and drawn answers as long as they may be;
    ``read``: tokens that the guard and the models beside the policy will read in all, each answer with its
    prompt; ``beside``: other models that will answer.
    """

    window: Window
    batch: Batch
    windows: int
    drawings: tuple[Drawing, ...]
    read: int
    beside: tuple[Sampler, ...]


@runtime_checkable
class Foreseeing(Protocol):
    """Beside Learner: tells before the first update what a stage takes."""

    def foresee(self, ahead: Ahead) -> list[str]:
        """Lines for a person. Refused where memory does not suffice. Nothing that is learnt changes."""
        ...


# Feedback


class Ask(Protocol):
    """What is asked about which answers, and how verdicts become numbers. Two pure functions."""

    def questions(self, groups: Sequence[Group]) -> list[Question]: ...

    def columns(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        """One row per answer or pair; ``judgments`` may hold several per question, and abstentions."""
        ...


class Desk(Protocol):
    """All that an overseer may touch."""

    def read(self, record: str) -> Record: ...

    async def ask(self, overseer: Overseer, question: Question) -> Judgment:
        """Looks before it asks; counts cost; an overseer that fails abstains."""
        ...

    async def say(self, sampler: Sampler, prompt: Prompt, how: How | None = None) -> Response:
        """Every text a protocol elicits becomes a Response whose parent is the question."""
        ...


class Overseer(Protocol):
    """Answers a Question or abstains with a reason. Touches nothing but its desk."""

    @property
    def answers(self) -> frozenset[Kind]: ...

    @property
    def config(self) -> str:
        """The hash of everything that decides its answers. Equal hashes share recorded judgments."""
        ...

    async def judge(self, question: Question, desk: Desk) -> Judgment: ...


@runtime_checkable
class Seated(Protocol):
    """An overseer that reads answers with models: it names them, and is handed their samplers.

    An overseer made of such overseers names theirs too, and seats them.
    """

    @property
    def models(self) -> tuple[str, ...]:
        """As a plan names models: a path, a ModelRef or ``stage:<name>``."""
        ...

    def seated(self, samplers: Mapping[str, Sampler]) -> Overseer:
        """The overseer ready to judge; its config now holds the weights too. PlanError where a sampler is
        missing or cannot do what is asked of it. ``samplers`` may hold those of other overseers."""
        ...


class Queue(Protocol):
    """Where questions wait for people. What they said is kept there; a run keeps the ids of it."""

    @property
    def id(self) -> str:
        """Of this queue, wherever it is moved to: judgments of two queues are of different people."""
        ...

    def post(self, questions: Sequence[Question], records: Sequence[Record], slots: int = 1) -> None:
        """Ask people. ``records`` are all the texts that the questions name; ``slots``: how many judge each.

        Posted again, a question keeps its slots, and gets more where there are fewer than now asked for.
        """
        ...

    async def answer(self, question: str, slot: int, deadline: float | None = None) -> Judgment | None:
        """What the person in that slot said, once it is said; None when ``deadline`` seconds are over.

        KeyError where the question was never posted with so many slots.
        """
        ...

    def judgment(self, judgment: str) -> Judgment | None:
        """A judgment as it was given, though it was amended later; None where its person withdrew it.

        KeyError where no such judgment was ever given here.
        """
        ...


@runtime_checkable
class Queued(Protocol):
    """An overseer that waits for people, itself or through others it is made of."""

    @property
    def queues(self) -> tuple[str, ...]:
        """The databases by path or URL, as a plan names them."""
        ...

    def queued(self, queues: Mapping[str, Queue]) -> Overseer:
        """The overseer ready to ask; its config now holds the ids of the queues. PlanError for one that is
        missing."""
        ...


@runtime_checkable
class Grouped(Protocol):
    """Beside Ask: it can count groups of raters apart, and is told who is in which."""

    @property
    def lacks_groups(self) -> bool:
        """Whether it is to count them apart, and nobody has told it of any."""
        ...

    def grouped(self, groups: Mapping[str, str]) -> Ask:
        """The same ask with the group of each rater who agreed to be counted so, by pseudonym (``By.name``).

        What others said counts in no group. The questions stay the same."""
        ...


@runtime_checkable
class Quoting(Protocol):
    """Beside Ask: its questions name answers that the policy did not give."""

    def quoted(self, groups: Sequence[Group]) -> list[Response]:
        """All such answers to these prompts."""
        ...


class Feedback(Protocol):
    """The asks of a stage with their overseers, as a Source sees them: groups in, numbers out."""

    def __call__(self, groups: Sequence[Group]) -> Columns | None: ...


@runtime_checkable
class Recording(Protocol):
    """Beside Feedback: keeps texts that nothing is asked about, as the turns before an episode's last."""

    def take(self, groups: Sequence[Group]) -> None: ...


# Training


class Shape(NamedTuple):
    """The rows a method wants: their unit, how many answers per prompt, and who writes them."""

    unit: Literal["answer", "pair", "episode"]
    n: int
    by: Literal["policy", "base", "data"]


Memory = Mapping[str, JSON]


class Method(Protocol):
    """A frozen config that *is* the algorithm."""

    @property
    def rows(self) -> Shape: ...

    @property
    def pushes_down(self) -> bool:
        """Whether it lowers the probability of answers on purpose; for a kept model that needs the gate."""
        ...

    def needs(self) -> Needs: ...

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        """Decides everything that must see the whole window. Pure: equal inputs, equal outputs."""
        ...

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        """Totals by term, row-local: the loss of some rows does not depend on which others are there."""
        ...


@runtime_checkable
class Advantaged(Protocol):
    """Beside Method: its advantages can be taken of any column, mixed by a wrapper, and given back."""

    def advantage(self, column: str, window: Window, memory: Memory) -> Floats:
        """Of ``score`` with the method's KL penalty, of a cost without; the baseline taken off, nothing
        scaled. One number per row or per answer token, NaN where it leaves."""
        ...

    def taught(self, window: Window, advantage: Floats, rng: np.random.Generator) -> Batch:
        """The batch these advantages make; whatever scales or whitens them is applied here, once."""
        ...


@runtime_checkable
class Marking(Protocol):
    """Beside Method: writes what it decides about a window into the prompts of its rows."""

    def marked(
        self, window: Window, rendered: Callable[[str, str], tuple[int, ...]], rng: np.random.Generator
    ) -> Window:
        """Called before anything is measured. ``rendered(prompt, mark)``: the tokens of the prompt with this
        id, ``mark`` put before its system message."""
        ...


@runtime_checkable
class Telling(Protocol):
    """Beside Source: it knows beforehand the texts it will teach."""

    def texts(self) -> Iterable[str]:
        """Every answer in its data."""
        ...


class Source(Protocol):
    """Where rows come from. Window k is a function of k, the policy and the feedback: no hidden cursor."""

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window: ...

    def prompts(self) -> Sequence[Prompt]:
        """All prompts it can draw; the guard takes probes from them where a plan names none."""
        ...


# Watching


class Look(NamedTuple):
    """What an indicator may see of the policy: events since the last audit, fresh answers to the probes."""

    run: str
    step: int
    events: tuple[StepEvent, ...]
    groups: tuple[Group, ...]
    policy: Sampler


class Draw(NamedTuple):
    """What the guard drew for this audit: its number, and the base's cached answers to the same probes."""

    audit: int
    base_groups: tuple[Group, ...]


class Indicator(Protocol):
    """A number with an interval, relative to the base. Measures, never decides."""

    @property
    def name(self) -> str: ...

    @property
    def tier(self) -> Literal["page", "warning", "report"]: ...

    @property
    def wants(self) -> frozenset[str]:
        """What it asks of the policy and the base beyond ``sample``."""
        ...

    def cost(self, probes: int, answers: int, tokens: int) -> Cost:
        """Forward tokens one reading takes, printed before a run."""
        ...

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured: ...


class Observed(NamedTuple):
    """What one model did with some items: for each criterion one outcome in [0, 1] per item, 1 the adverse
    end, None where nobody could judge. ``said``: for each item the answers that were drawn, or the likeliest.

    ``ruler``: what cuts answers into units, part of the instrument.
    """

    outcomes: Mapping[str, tuple[float | None, ...]]
    said: tuple[Group, ...]
    ruler: str = ""
    cost: Cost = Cost()


@runtime_checkable
class Panelled(Protocol):
    """Measures one model on items of a sealed panel. The guard draws the items, and takes the base off.

    An e-process belongs to one criterion, so to one outcome of one instrument.
    """

    @property
    def name(self) -> str: ...

    @property
    def tier(self) -> Literal["page", "warning", "report"]: ...

    @property
    def wants(self) -> frozenset[str]:
        """What it asks of a model: ``sample``, ``logp``, …"""
        ...

    @property
    def config(self) -> str:
        """The hash of everything that decides its outcomes."""
        ...

    @property
    def panel(self) -> str:
        """The panel it reads, by name; ``base``: what the base itself answered to the guard's probes."""
        ...

    @property
    def criteria(self) -> tuple[str, ...]: ...

    @property
    def draws(self) -> int:
        """How many answers of the base an item's anchor is the mean of; 1 where nothing is sampled."""
        ...

    @property
    def share(self) -> float:
        """The share it asks of the items that an audit draws: less than 1 where an item is more to read."""
        ...

    def takes(self, item: Item) -> bool:
        """Whether the item is one it can pose."""
        ...

    def cost(self, items: int, tokens: int) -> Cost:
        """What observing so many items of so many tokens takes."""
        ...

    async def observe(self, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        """A function of items, weights and ``how``; an item's outcome does not depend on the others."""
        ...


@runtime_checkable
class Judged(Protocol):
    """Beside Panelled: whether a judge gives its outcomes, a model or a person, who may err."""

    @property
    def judged(self) -> bool:
        """True: it pages only with counts of his errors (``judges`` of the rule ``page``)."""
        ...


@runtime_checkable
class Referred(Protocol):
    """Beside Panelled: it reads what a model says with the base's eyes, so it is handed the base first.

    What it ``wants`` it asks of the model that it observes, what is in ``of_base`` of the base.
    """

    @property
    def of_base(self) -> frozenset[str]: ...

    def referred(self, base: Sampler) -> Panelled:
        """The same indicator, ready to observe; its config is unchanged."""
        ...


@runtime_checkable
class Pooled(Protocol):
    """Beside Panelled: its figure is no mean over items but one of all their outcomes. So it only reports."""

    def pooled(self, criterion: str, outcomes: Floats) -> float:
        """The figure; a function of the outcomes in any order."""
        ...


class History(NamedTuple):
    """All that rules may consider, oldest first. Faults are events named ``fault``."""

    run: str
    step: int
    events: tuple[StepEvent, ...]
    readings: tuple[Reading | NotMeasured, ...]
    decisions: tuple[Decision, ...]


class Rule(Protocol):
    """History → Decision. Tolerances live here, not in indicators."""

    @property
    def name(self) -> str: ...

    def __call__(self, history: History) -> Decision: ...


# Worlds and stores


class WorldStep(NamedTuple):
    """What an answer led to: the next prompt (None: the episode is over), the observed reward and costs."""

    prompt: Prompt | None
    reward: float | None
    costs: Mapping[str, float]


class World(Protocol):
    """Something to act in. The Source is its only caller; its hidden truth never passes through here.

    It remembers one episode, so every episode that is played has a world of its own. A tool is a world too:
    what it says comes as messages of the role ``tool``.
    """

    def reset(self, seed: str) -> Prompt:
        """A new episode. The seed decides everything in it but the answers."""
        ...

    def step(self, response: Response) -> WorldStep:
        """What the answer to the last prompt led to. A next prompt goes on from it (``Prompt.then``); all
        steps name the same costs. Any answer is one it can live with, an empty one too."""
        ...


@runtime_checkable
class WorldPart(Protocol):
    """The config of a world, a Part, as a plan names it."""

    def open(self) -> World:
        """A world that shares nothing with any other."""
        ...


class Store(Protocol):
    """Append-only, content-addressed. ``put`` returns when the record would survive a kill."""

    def put(self, *records: Record) -> None: ...

    def get(self, record: str) -> Record:
        """KeyError when the store has no such record."""
        ...

    def find(self, kind: str, *, parent: str | None = None, run: str | None = None) -> list[Record]:
        """Records of a kind in the order they came, filtered by a parent's id or the field ``run``."""
        ...

    def lineage(self, record: str) -> list[Record]:
        """The record and all its ancestors that the store holds, nearest first, each once."""
        ...
