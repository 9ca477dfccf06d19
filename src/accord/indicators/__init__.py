"""Indicators: numbers with intervals, relative to the base. They measure and never decide (layer 2).

One file each; ``base_rank.py`` is the example of one that reads fresh answers (``Indicator``),
``sycophancy.py`` of one that asks items of a panel (``Panelled``). Here, beside this map, stands what they
share (``Fresh``, ``Said``, ``Asked``, ``Answered``) before and after their own arithmetic: pair the groups,
ask a sampler for one column, say why not, name the instrument, derive the generator; put options to a model
and read which it would take. Not here: tolerances (``accord.rules``, ``accord.pages``), the arithmetic of
intervals (``accord.maths``), which probes and items are drawn and what happens when an indicator raises (the
guard).
"""

# size: what indicators share, in one file, since none of them may import another
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence, Sized
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from accord.errors import ContractError
from accord.maths.intervals import cluster_mean, paired_difference
from accord.ports import Draw, Look, Sampler
from accord.records import Cost, Message, NotMeasured, Prompt, Reading, Response, digest
from accord.records.panels import Item
from accord.records.rows import Floats, Group, Text

__all__ = [
    "Answered",
    "Asked",
    "Chosen",
    "Fresh",
    "Pair",
    "Posed",
    "Said",
    "Scores",
    "Sides",
    "Tier",
    "against_base",
    "believer",
    "by_probe",
    "chosen",
    "cut_apart",
    "drawing",
    "evidence",
    "few",
    "freely",
    "generator",
    "instrument",
    "likeliest",
    "listed",
    "pair",
    "passes",
    "prefixed",
    "score",
    "silent",
    "spoken",
    "texts",
    "told_by_base",
    "transplanted",
    "unable",
    "uneven",
]

T = TypeVar("T")
Tier = Literal["page", "warning", "report"]
_LETTERS = "ABCDEFGH"
_LACKS = {
    "logp": "gives no log-probabilities",
    "rank": "gives no ranks",
    "entropy": "gives no entropies",
    "support": "does not tell its support",
}


class Pair(NamedTuple):
    """The policy's and the base's answers to one probe."""

    ours: Group
    base: Group


class Scores(NamedTuple):
    """One column of one sampler: an array per text, over its tokens, and the tokenizer that cut them."""

    tokens_S: list[Floats]
    tokenizer: str


def pair(look: Look, draw: Draw) -> list[Pair]:
    """Every probe with both its groups, in order. ContractError where the prompts are not the same."""
    ours = [group.prompt.id for group in look.groups]
    base = [group.prompt.id for group in draw.base_groups]
    if ours != base:
        differ = sum(a != b for a, b in zip(ours, base, strict=False)) + abs(len(ours) - len(base))
        raise ContractError(
            "the guard",
            "Draw.base_groups holds the base's answers to the prompts of Look.groups, in the same order",
            f"{len(ours)} probes of the policy, {len(base)} of the base, {differ} of them different",
        )
    return [Pair(*both) for both in zip(look.groups, draw.base_groups, strict=True)]


def texts(*groups: Group) -> list[Text]:
    """The answers of some groups that have tokens, each with its prompt."""
    return [Text(one.prompt, response) for one in groups for response in one.responses if response.tokens]


def spoken(look: Look, draw: Draw) -> list[Pair]:
    """The probes that have a token on both sides."""
    return [two for two in pair(look, draw) if texts(two.ours) and texts(two.base)]


def by_probe(values: Iterable[T], groups: Sequence[Group]) -> list[list[T]]:
    """What was read of each of ``texts(*groups)``, group by group."""
    rest = iter(values)
    return [[next(rest) for _ in texts(group)] for group in groups]


def few(found: Sized, what: str = "have answers with tokens") -> str:
    """Why this is too little for an interval over probes, or nothing where it is enough."""
    return f"{f'{len(found)} probes {what}'.rstrip()}; an interval needs 2" if len(found) < 2 else ""


def uneven(pairs: Sequence[Pair], need: str) -> str:
    """Why groups cannot be compared as wholes: of other sizes, or of one answer where ``need`` is two."""
    sizes = {len(group.responses) for two in pairs for group in two}
    if len(sizes) > 1:
        return f"groups of {min(sizes)} to {max(sizes)} answers have no common scale"
    return f"{min(sizes)} answers to each probe; {need}" if sizes and min(sizes) < 2 else ""


def unable(want: str, **samplers: Sampler) -> str:
    """Which of these, by name, cannot be asked for ``want``, or nothing where all can."""
    mute = (f"the {who} {one.policy} {_LACKS[want]}" for who, one in samplers.items() if want not in one.can)
    return next(mute, "")


def cut_apart(*tokenizers: str) -> str:
    """Why token by token nothing can be compared, or nothing where all are one tokenizer."""
    return "policy and base cut text with different tokenizers" if len(set(tokenizers)) > 1 else ""


async def score(sampler: Sampler, said: Sequence[Text], want: str) -> Scores:
    """What ``sampler`` says of each token of ``said``. ContractError for anything but finite numbers."""
    scored = await sampler.score(said, frozenset({want}))
    promise = f"score gives one finite {want} per token of each text, cut by one tokenizer"
    if len(scored) != len(said):
        raise ContractError(sampler.policy, promise, f"{len(scored)} results for {len(said)} texts")
    tokens_S = [one.columns[want] for one in scored]
    if bad := sum(not np.isfinite(tokens_T).all() for tokens_T in tokens_S):
        raise ContractError(sampler.policy, promise, f"{bad} of {len(said)} texts hold NaN or infinity")
    tokenizers = {one.tokenizer for one in scored}
    if len(tokenizers) > 1:
        raise ContractError(sampler.policy, promise, f"{len(tokenizers)} tokenizers in one call")
    return Scores(tokens_S, tokenizers.pop() if tokenizers else "")


def instrument(part: Fresh, look: Look, ruler: str) -> str:
    """The hash of what makes readings comparable: settings, ruler, panel and how the answers were drawn.

    ``ruler`` is what cuts the answers into units: a tokenizer's digest or the name of a word rule.
    """
    answers = [response for group in look.groups for response in group.responses]
    return digest(
        {
            "form": "live",
            "config": part.config,
            "ruler": ruler,
            "panel": digest(sorted(group.prompt.id for group in look.groups)),
            "answers": sorted({len(group.responses) for group in look.groups}),
            "temperatures": sorted({response.temperature for response in answers}),
            "templates": sorted({response.template for response in answers}),
        }
    )


def generator(look: Look, draw: Draw, name: str) -> np.random.Generator:
    """Chance for the interval: from (run, audit, indicator) and nothing that a resume could lose."""
    return np.random.default_rng(int(digest([look.run, draw.audit, name]), 16))


def evidence(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The ids of the answers that a reading rests on, each once."""
    both = (group for two in pairs for group in two)
    return tuple(dict.fromkeys(response.id for group in both for response in group.responses))


def passes(*batches: Sequence[Text]) -> Cost:
    """What scoring these texts took: one forward pass each, over prompt and answer."""
    said = [response for batch in batches for _, response in batch]
    return Cost(calls=len(said), tokens_in=sum(len(r.prompt_tokens) + len(r.tokens) for r in said))


class Told(NamedTuple):
    """What the base says of the tokens of either side: per probe one array for each answer."""

    pairs: list[Pair]
    ours_P: list[list[Floats]]
    base_P: list[list[Floats]]
    tokenizer: str
    cost: Cost


async def told_by_base(look: Look, base: Sampler, draw: Draw, want: str) -> Told | str:
    """The base reads the policy's answers and its own, in one call; or in words why it cannot."""
    pairs = spoken(look, draw)
    if why := unable(want, base=base) or few(pairs):
        return why
    ours, theirs = texts(*(two.ours for two in pairs)), texts(*(two.base for two in pairs))
    scored = await score(base, [*ours, *theirs], want)
    if why := cut_apart(scored.tokenizer, *(text.response.tokenizer for text in ours)):
        return why
    read = by_probe(scored.tokens_S, [two.ours for two in pairs] + [two.base for two in pairs])
    return Told(pairs, read[: len(pairs)], read[len(pairs) :], scored.tokenizer, passes(ours, theirs))


class Sides(NamedTuple):
    """What was read of each probe, of the policy and of the base, and what it was read off.

    ``outcomes``: one for each item, in [0, 1] and 1 the adverse end; ``items``: where they are not the
    prompts of ``pairs``, as batches of them. ``ruler``: as ``instrument`` has it.
    """

    pairs: Sequence[Pair]
    ours_P: Sequence[Floats]
    base_P: Sequence[Floats]
    outcomes: Sequence[float]
    ruler: str
    unit: str
    cost: Cost = Cost()
    items: Sequence[str] = ()


def against_base(indicator: Fresh, look: Look, draw: Draw, sides: Sides) -> Reading:
    """The pooled figure of the policy, and its change from the base's, paired by probe."""
    rng = generator(look, draw, indicator.name)
    ours, change = cluster_mean(sides.ours_P, rng), paired_difference(sides.ours_P, sides.base_P, rng)
    return Reading(
        run=look.run,
        name=indicator.name,
        step=look.step,
        instrument=instrument(indicator, look, sides.ruler),
        value=ours.value,
        low=ours.low,
        high=ours.high,
        base=float(np.concatenate(sides.base_P).mean()),
        change=change.value,
        change_low=change.low,
        change_high=change.high,
        unit=sides.unit,
        n=len(sides.ours_P),
        items=tuple(sides.items) or tuple(two.ours.prompt.id for two in sides.pairs),
        outcomes=tuple(sides.outcomes),
        cost=sides.cost,
        parents=evidence(sides.pairs),
    )


def silent(indicator: Fresh, look: Look, reason: str) -> NotMeasured:
    """What an indicator says that could not look."""
    return NotMeasured(run=look.run, name=indicator.name, step=look.step, reason=reason)


def transplanted(text: Text, prompt: Prompt, prompt_tokens: tuple[int, ...]) -> Text:
    """The same answer, token for token, as if another prompt had been asked."""
    moved = {"prompt": prompt.id, "prompt_tokens": prompt_tokens}
    return Text(prompt, text.response.model_copy(update=moved))


class Fresh:
    """What indicators that read fresh answers have in common; models read each answer ``times`` times."""

    name: ClassVar[str]
    tier: ClassVar[Tier] = "report"
    wants: ClassVar[frozenset[str]] = frozenset()
    times: ClassVar[int] = 0

    if TYPE_CHECKING:

        @cached_property
        def config(self) -> str: ...  # a Part's, for they all are Parts

    def cost(self, probes: int, answers: int, tokens: int) -> Cost:
        """``tokens`` counts a prompt with its answer."""
        calls = self.times * probes * answers
        return Cost(calls=calls, tokens_in=calls * tokens)


class Said(Fresh, ABC):
    """Of these, the ones that read what answers say and ask no model."""

    @abstractmethod
    async def compared(self, pairs: Sequence[Pair]) -> Sides | str:
        """What was read of either side, or in words why nothing can be."""

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        del base  # it speaks through its answers
        found = await self.compared(pair(look, draw))
        return silent(self, look, found) if isinstance(found, str) else against_base(self, look, draw, found)


class Asked:
    """What is common to indicators that ask items of a panel and read probabilities: nothing is sampled."""

    name: ClassVar[str]
    panel: ClassVar[str]
    criteria: ClassVar[tuple[str, ...]]
    tier: ClassVar[Tier] = "page"
    wants: ClassVar[frozenset[str]] = frozenset({"logp"})
    draws: ClassVar[int] = 1
    share: ClassVar[float] = 1.0


class Answered:
    """What is common to indicators that draw answers to items of a panel, and read what these say."""

    name: ClassVar[str]
    panel: ClassVar[str]
    tier: ClassVar[Tier] = "report"
    wants: ClassVar[frozenset[str]] = frozenset({"sample"})
    draws: ClassVar[int] = 8
    share: ClassVar[float] = 1.0


class Posed(NamedTuple):
    """A question, and what may be answered. ``letters``: the options stand in it, and a letter answers; else
    the text of an option alone does, and the model has not seen them."""

    prompt: Prompt
    options: tuple[str, ...]
    letters: bool = True


class Chosen(NamedTuple):
    """For each question the probability of each option among them, and the texts that were scored."""

    p_Q: list[Floats]
    said: list[Group]
    tokenizer: str


def listed(prompt: Prompt, options: Sequence[str], before: str = "") -> Prompt:
    """The question with its options under letters; ``before`` stands before it.

    >>> print(listed(Prompt.of("Which is a metal?"), ["tin", "salt"]).text)
    Which is a metal?
    A. tin
    B. salt
    Answer with the letter of one option and nothing else.
    """
    lines = [f"{letter}. {option}" for letter, option in zip(_LETTERS, options, strict=False)]
    asked = f"{before} {prompt.text}".strip()
    text = "\n".join([asked, *lines, "Answer with the letter of one option and nothing else."])
    return prefixed(prompt, text)


def believer(item: Item, believed: int) -> Posed:
    """The question of an asker who believes this option; of a text, of one whom that verdict would please."""
    options = item.options
    if (belief := item.more.get("belief")) is not None:
        stated = str(belief).replace("{belief}", options[believed])
        return Posed(listed(item.prompt, options, before=stated), options)
    feeling = "liked" if options[believed] == item.more.get("good") else "disliked"
    text = f"{item.prompt.text}\n\n{item.more[feeling]} {item.more.get('ask', '')}".strip()
    return Posed(listed(prefixed(item.prompt, text), options), options)


def freely(prompt: Prompt) -> Prompt:
    """The question without its options, to be answered in words."""
    return prefixed(prompt, f"{prompt.text}\nAnswer in a few words and nothing else.")


def drawing(groups: Sequence[Group]) -> Cost:
    """What drawing these answers took: a prompt is read once, whatever is drawn."""
    read = sum(len(group.responses[0].prompt_tokens) for group in groups if group.responses)
    said = [response for group in groups for response in group.responses]
    return Cost(calls=len(said), tokens_in=read, tokens_out=sum(len(one.tokens) for one in said))


def prefixed(prompt: Prompt, text: str) -> Prompt:
    """The conversation with another last user message."""
    last = max((i for i, m in enumerate(prompt.messages) if m.role == "user"), default=None)
    asked = Message(role="user", content=text)
    if last is None:
        return Prompt(messages=(*prompt.messages, asked))
    return Prompt(messages=(*prompt.messages[:last], asked, *prompt.messages[last + 1 :]))


async def chosen(sampler: Sampler, posed: Sequence[Posed]) -> Chosen:
    """How likely each option is as the answer, among the options of its question.

    A letter is one token, and what follows it does not count, so it is not read; a text counts as a whole,
    with its end.
    """
    offered = [[_offered(sampler, one, said) for said in _sayings(one)] for one in posed]
    scored = await score(sampler, [text for texts_O in offered for text in texts_O], "logp")
    rest = iter(scored.tokens_S)
    p_Q: list[Floats] = []
    said: list[Group] = []
    for one, texts_O in zip(posed, offered, strict=True):
        read_O = [next(rest) for _ in texts_O]
        logp_O = np.array([logp_T[0] if one.letters else logp_T.sum() for logp_T in read_O])
        p_O = np.exp(logp_O - logp_O.max())
        p_Q.append(p_O / p_O.sum())
        said.append(Group(one.prompt, (texts_O[int(logp_O.argmax())].response,)))
    return Chosen(p_Q, said, scored.tokenizer)


async def likeliest(sampler: Sampler, posed: Sequence[Prompt], openings: Sequence[str]) -> Chosen:
    """The probability that an answer begins with each of these words; none of them begins another."""
    offered = [[sampler.encode(prompt, text) for text in openings] for prompt in posed]
    ends = [len(sampler.encode(prompt, "").tokens) for prompt in posed]
    texts_S = [
        Text(prompt, _without_end(response, end))
        for prompt, responses, end in zip(posed, offered, ends, strict=True)
        for response in responses
    ]
    scored = await score(sampler, texts_S, "logp")
    width = len(openings)
    p_Q = [
        np.exp(np.array([tokens_T.sum() for tokens_T in scored.tokens_S[i * width : (i + 1) * width]]))
        for i in range(len(posed))
    ]
    said = [
        Group(prompt, (offered[i][int(p_O.argmax())],))
        for i, (prompt, p_O) in enumerate(zip(posed, p_Q, strict=True))
    ]
    return Chosen(p_Q, said, scored.tokenizer)


def _offered(sampler: Sampler, one: Posed, said: str) -> Text:
    response = sampler.encode(one.prompt, said)
    if one.letters:
        response = _without_end(response, len(sampler.encode(one.prompt, "").tokens))
    return Text(one.prompt, response)


def _sayings(one: Posed) -> Sequence[str]:
    return _LETTERS[: len(one.options)] if one.letters else one.options


def _without_end(response: Response, end: int) -> Response:
    return response.model_copy(update={"tokens": response.tokens[: len(response.tokens) - end]})
