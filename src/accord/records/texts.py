"""What was asked of a model and what it said: Prompt, Response, Episode."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from accord.records.record import Record

__all__ = ["Begun", "Episode", "Message", "Prompt", "Response", "Sequence"]


class Message(BaseModel):
    """One turn of a conversation, in the form every chat template knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Begun(BaseModel):
    """The exact tokens of a conversation up to its last answer, and the digest of their tokenizer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokenizer: str
    tokens: tuple[int, ...] = Field(min_length=1)


class Prompt(Record):
    """A conversation that waits for an answer.

    ``allowed`` names the only tokens an answer may hold (all others have probability 0, in sampling, scoring
    and training alike). ``columns`` carries the other fields of a data row to programs that judge answers.
    ``begun``: all that was read and said up to the last answer, that answer included, as tokens; a model with
    this tokenizer goes on from them and renders only the messages behind that answer.
    """

    kind: ClassVar[str] = "prompt"

    messages: tuple[Message, ...]
    allowed: tuple[int, ...] | None = None
    slice: str = ""
    columns: dict[str, JsonValue] = {}
    begun: Begun | None = None

    @model_validator(mode="after")
    def _something_was_answered(self) -> Self:
        if self.begun is not None and not self.answered:
            raise ValueError("begun holds tokens up to the last answer, and nothing was answered")
        return self

    @classmethod
    def of(cls, text: str, slice: str = "", **columns: JsonValue) -> Self:  # noqa: A002 - the glossary's word
        """A prompt of one user message."""
        return cls(messages=(Message(role="user", content=text),), slice=slice, columns=columns)

    @property
    def text(self) -> str:
        """The last user message: what a person would call the question."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")

    @property
    def answered(self) -> int:
        """How many messages there are up to the last answer, that one included; 0 without an answer."""
        return max((i for i, m in enumerate(self.messages, start=1) if m.role == "assistant"), default=0)

    def then(self, answer: str, *messages: Message) -> Self:
        """The conversation goes on: these messages, the answer, and what follows it."""
        said = (*self.messages, Message(role="assistant", content=answer), *messages)
        return self.model_copy(update={"messages": said, "begun": None})


class Response(Record):
    """One answer: its text, the exact tokens, and where it came from.

    The id holds policy, seed and sample index, so two equal texts of two draws are two facts. ``logp``
    (the log-probability of each token when it was drawn) is measured and stays outside.
    """

    kind: ClassVar[str] = "response"
    outside: ClassVar[frozenset[str]] = frozenset({"logp"})

    prompt: str
    text: str
    prompt_tokens: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    finish: Literal["stop", "length", "data"] = "stop"
    policy: str = "data"
    seed: str = ""
    index: int = 0
    temperature: float = 1.0
    tokenizer: str = ""
    template: str = ""
    logp: tuple[float, ...] = ()


class Sequence(NamedTuple):
    """One masked sequence: ``answer[i]`` says whether the policy chose ``tokens[i]``.

    ``allowed`` and ``temperature`` are those the answer was drawn under; scoring and training keep to them.
    """

    tokens: tuple[int, ...]
    answer: tuple[bool, ...]
    allowed: tuple[int, ...] | None = None
    temperature: float = 1.0


class Episode(Record):
    """Turns in order, columnar: turn k read ``prompt_tokens[k]`` and answered ``tokens[k]``.

    ``prompt_tokens[k]`` is all the model saw at turn k. A single answer is an episode of one turn.
    """

    kind: ClassVar[str] = "episode"

    prompt: str
    responses: tuple[str, ...]
    prompt_tokens: tuple[tuple[int, ...], ...]
    tokens: tuple[tuple[int, ...], ...]
    allowed: tuple[int, ...] | None = None
    temperature: float = 1.0
    rewards: tuple[float | None, ...] = ()
    costs: dict[str, tuple[float | None, ...]] = {}

    @model_validator(mode="after")
    def _columns_agree(self) -> Self:
        turns = len(self.responses)
        if turns == 0:
            raise ValueError("an episode has at least one turn")
        for name, column in [("prompt_tokens", self.prompt_tokens), ("tokens", self.tokens)]:
            if len(column) != turns:
                raise ValueError(f"{name} has {len(column)} turns where responses has {turns}")
        for name, values in [("rewards", self.rewards), *self.costs.items()]:
            if values and len(values) != turns:
                raise ValueError(f"{name} has {len(values)} turns where responses has {turns}")
        return self

    @classmethod
    def single(cls, response: Response, allowed: tuple[int, ...] | None = None) -> Self:
        """The episode of one answer."""
        return cls(
            prompt=response.prompt,
            responses=(response.id,),
            prompt_tokens=(response.prompt_tokens,),
            tokens=(response.tokens,),
            allowed=allowed,
            temperature=response.temperature,
            parents=(response.id,),
        )

    def sequences(self) -> list[Sequence]:
        """The turns as masked sequences: one, where each prompt extends all tokens before it, else more.

        No history is computed twice: a turn whose prompt repeats what stands already only adds what is new.
        """
        done: list[Sequence] = []
        tokens: tuple[int, ...] = ()
        answer: tuple[bool, ...] = ()
        for prompt, said in zip(self.prompt_tokens, self.tokens, strict=True):
            if tokens and prompt[: len(tokens)] != tokens:
                done.append(Sequence(tokens, answer, self.allowed, self.temperature))
                tokens, answer = (), ()
            new = prompt[len(tokens) :]
            tokens += new + said
            answer += (False,) * len(new) + (True,) * len(said)
        return [*done, Sequence(tokens, answer, self.allowed, self.temperature)]
