"""The catalogue: which name means which part. Nothing is imported until it is asked for (layer 4).

To add a part: write its file, add its line here. Parts of other packages need no line: an entry point in the
group ``accord.<group>``, or ``module:Class`` in the plan; both are imported only when named, and a shipped
name cannot be taken over.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import get_args

from pydantic import BaseModel, ValidationError

from accord import ports
from accord.errors import ContractError, PlanError, nearest
from accord.plan import PartTable, Plan
from accord.problems import describe, plan_error
from accord.records import JSON

__all__ = [
    "ASKS",
    "CATALOG",
    "ENGINES",
    "INDICATORS",
    "METHODS",
    "OVERSEERS",
    "RULES",
    "SOURCES",
    "STORES",
    "STUDIES",
    "TASKS",
    "WORLDS",
    "build",
    "check",
    "find",
]

METHODS = {
    "best_of_n": "accord.methods.best_of_n:BestOfN",
    "compatible": "accord.methods.compatible:Compatible",
    "conditional": "accord.methods.conditional:Conditional",
    "constrained": "accord.methods.constrained:Constrained",
    "distill": "accord.methods.distill:Distill",
    "dpo": "accord.methods.dpo:DPO",
    "grpo": "accord.methods.grpo:GRPO",
    "ipo": "accord.methods.ipo:IPO",
    "kto": "accord.methods.kto:KTO",
    "online_dpo": "accord.methods.online_dpo:OnlineDPO",
    "ppo": "accord.methods.ppo:PPO",
    "process_reward_model": "accord.methods.process_reward_model:ProcessRewardModel",
    "reinforce_pp": "accord.methods.reinforce_pp:ReinforcePP",
    "reward_model": "accord.methods.reward_model:RewardModel",
    "rloo": "accord.methods.rloo:RLOO",
    "sft": "accord.methods.sft:SFT",
}
OVERSEERS = {
    "amplified": "accord.overseers.amplified:Amplified",
    "assisted": "accord.overseers.assisted:Assisted",
    "both_orders": "accord.overseers.both_orders:BothOrders",
    "budget": "accord.overseers.budget:Budget",
    "calibrated": "accord.overseers.calibrated:Calibrated",
    "constitution": "accord.overseers.constitution:Constitution",
    "consult": "accord.overseers.consult:Consult",
    "customer": "accord.worlds.market:Customer",
    "debate": "accord.overseers.debate:Debate",
    "hindsight": "accord.overseers.hindsight:Hindsight",
    "human": "accord.overseers.human:Human",
    "judge": "accord.overseers.judge:Judge",
    "jury": "accord.overseers.jury:Jury",
    "noisy": "accord.overseers.noisy:Noisy",
    "program": "accord.overseers.program:Program",
    "qualified": "accord.overseers.qualified:Qualified",
    "reward": "accord.overseers.reward:Reward",
    "spot_checked": "accord.overseers.spot_checked:SpotChecked",
}
ASKS = {
    "against": "accord.asks.against:Against",
    "all_pairs": "accord.asks.all_pairs:AllPairs",
    "each": "accord.asks.each:Each",
    "pairs": "accord.asks.pairs:Pairs",
    "steps": "accord.asks.steps:Steps",
}
INDICATORS = {
    "base_rank": "accord.indicators.base_rank:BaseRank",
    "calibration": "accord.indicators.calibration:Calibration",
    "calibration_error": "accord.indicators.calibration_error:CalibrationError",
    "canaries": "accord.indicators.canaries:Canaries",
    "capability": "accord.indicators.capability:Capability",
    "capability_free": "accord.indicators.capability_free:CapabilityFree",
    "compatibility": "accord.indicators.compatibility:Compatibility",
    "compression": "accord.indicators.compression:Compression",
    "contested": "accord.indicators.contested:Contested",
    "diversity": "accord.indicators.diversity:Diversity",
    "effective_diversity": "accord.indicators.effective_diversity:EffectiveDiversity",
    "entropy": "accord.indicators.entropy:Entropy",
    "forward_kl": "accord.indicators.forward_kl:ForwardKL",
    "greedy_rank": "accord.indicators.greedy_rank:GreedyRank",
    "misfire": "accord.indicators.misfire:Misfire",
    "overton_coverage": "accord.indicators.overton_coverage:OvertonCoverage",
    "own": "accord.indicators.own:Own",
    "preferences": "accord.indicators.preferences:Preferences",
    "refusals": "accord.indicators.refusals:Refusals",
    "refused": "accord.indicators.refused:RefusedRequests",
    "repetition": "accord.indicators.repetition:Repetition",
    "reverse_kl": "accord.indicators.reverse_kl:ReverseKL",
    "shallow_depth": "accord.indicators.shallow_depth:ShallowDepth",
    "support_exit": "accord.indicators.support_exit:SupportExit",
    "sycophancy": "accord.indicators.sycophancy:Sycophancy",
    "sycophancy_said": "accord.indicators.sycophancy_said:SycophancySaid",
    "tampering": "accord.indicators.tampering:Tampering",
    "template_collapse": "accord.indicators.template_collapse:TemplateCollapse",
    "unsaid": "accord.indicators.unsaid:Unsaid",
    "unsaid_free": "accord.indicators.unsaid_free:UnsaidFree",
    "watched": "accord.indicators.watched:Watched",
    "wide_diversity": "accord.indicators.wide_diversity:WideDiversity",
}
RULES = {
    "both_fell": "accord.rules:BothFell",
    "canary": "accord.canary:Canary",
    "drift": "accord.signs:Drift",
    "entropy_price": "accord.signs:EntropyPrice",
    "fault": "accord.rules:Fault",
    "fell": "accord.rules:Fell",
    "gaming": "accord.signs:Gaming",
    "grew": "accord.rules:Grew",
    "missing": "accord.rules:Missing",
    "non_finite": "accord.rules:NonFinite",
    "over": "accord.signs:Over",
    "overuse": "accord.signs:Overuse",
    "page": "accord.pages:Page",
    "rose": "accord.rules:Rose",
    "unread": "accord.rules:Unread",
}
SOURCES = {
    "episodes": "accord.episodes:Episodes",
    "labelled": "accord.labelled:Labelled",
    "offline": "accord.sources:Offline",
    "rollouts": "accord.sources:Rollouts",
}
ENGINES = {
    "local": "accord.engines.local:Local",
    "openai_http": "accord.engines.openai_http:OpenAIHTTP",
    "ranks": "accord.engines.ranks:Ranks",
    "scripted": "accord.engines.scripted:Scripted",
}
STORES = {
    "memory": "accord.stores.memory:MemoryStore",
    "sql": "accord.stores.sql:SqlStore",
}
STUDIES = {
    "amplification": "accord.studies.amplification:Amplification",
    "constitution": "accord.studies.constitution:Constitution",
    "critique": "accord.studies.critique:Critique",
    "debate": "accord.studies.debate:Debate",
    "hindsight": "accord.studies.hindsight:Hindsight",
    "instructgpt": "accord.studies.instructgpt:InstructGPT",
    "latent_knowledge": "accord.studies.latent_knowledge:LatentKnowledge",
    "overoptimisation": "accord.studies.overoptimisation:Overoptimisation",
    "razor": "accord.studies.razor:Razor",
    "sandwiching": "accord.studies.sandwiching:Sandwiching",
    "side_constraints": "accord.studies.side_constraints:SideConstraints",
    "tampering": "accord.studies.tampering:Tampering",
    "weak_to_strong": "accord.studies.weak_to_strong:WeakToStrong",
    "without_rlhf": "accord.studies.without_rlhf:WithoutRLHF",
}
# Sets of tasks whose truth is known, for studies: nobody acts in them in turns.
TASKS = {
    "bisection": "accord.worlds.bisection:Bisection",
    "digest": "accord.worlds.digesting:Digest",
    "helpdesk": "accord.worlds.helpdesk:Helpdesk",
    "parity": "accord.worlds.parity:ParityDigits",
    "pixels": "accord.worlds.pixels:Pixels",
    "powers": "accord.worlds.powers:Powers",
    "programs": "accord.worlds.programs:Programs",
    "quirky": "accord.worlds.quirky:Quirky",
    "stories": "accord.worlds.stories:Stories",
    "strings": "accord.worlds.strings:Strings",
    "trigger": "accord.worlds.trigger:Trigger",
}
WORLDS = {
    "absent": "accord.worlds.absent:Absent",
    "boat": "accord.worlds.boat:Boat",
    "calculator": "accord.worlds.calculator:Calculator",
    "cmdp": "accord.worlds.cmdp:Cmdp",
    "guess": "accord.worlds.guess:Guess",
    "impossible": "accord.worlds.impossible:Impossible",
    "interrupt": "accord.worlds.interrupt:Interrupt",
    "market": "accord.worlds.market:Market",
    "shop": "accord.worlds.shop:Shop",
    "tomato": "accord.worlds.tomato:Tomato",
}
CATALOG = {
    "asks": ASKS,
    "engines": ENGINES,
    "indicators": INDICATORS,
    "methods": METHODS,
    "overseers": OVERSEERS,
    "rules": RULES,
    "sources": SOURCES,
    "stores": STORES,
    "studies": STUDIES,
    "tasks": TASKS,
    "worlds": WORLDS,
}

# A setting of one of these types holds a part itself, so its table is built before the setting is read.
_HOLDERS: dict[object, str] = {
    ports.Ask: "asks",
    ports.Indicator: "indicators",
    ports.Method: "methods",
    ports.Overseer: "overseers",
    ports.Rule: "rules",
    ports.Source: "sources",
    ports.WorldPart: "worlds",
}


def find(group: str, name: str, path: str = "") -> type:
    """The class behind a name of ``group`` (a key of CATALOG) or ``module:Class``; PlanError if none."""
    known = CATALOG[group]
    path = path or group
    if target := known.get(name):
        return _class(target, name, path)
    if ":" in name:
        return _class(name, name, path)
    for point in entry_points(group=f"accord.{group}", name=name):
        return _class(f"{point.module}:{point.attr}", name, path)
    allowed = f"{', '.join(sorted(known))}; or module:Class; or the name of a plug-in that is installed"
    raise PlanError(path, name, allowed, nearest(name, known))


def build(group: str, table: PartTable | Mapping[str, JSON], path: str = "") -> object:
    """The part that a table names, with its settings. PlanError, with the plan's path, where they do not fit.

    A setting whose type is a port (an overseer inside an overseer) is itself a table and built first.
    """
    path = path or group
    try:
        table = table if isinstance(table, PartTable) else PartTable.model_validate(table)
    except PlanError as error:
        raise error.under(path) from None
    kind = _part_class(group, table.name, f"{path}.name")
    settings = table.plain()
    inner: dict[str, object] = {
        key: _inner(kind.model_fields[key].annotation, value, f"{path}.{key}")
        for key, value in settings.items()
        if key in kind.model_fields
    }
    try:
        part = kind.model_validate({**settings, **inner})
    except ValidationError as error:
        raise plan_error(error, kind, path) from None
    except PlanError as error:
        raise error.under(path) from None
    for key, value in settings.items():
        _unchanged(part, key, value, f"{path}.{key}")
    return part


def _part_class(group: str, name: str, path: str) -> type[BaseModel]:
    kind = find(group, name, path)
    if not issubclass(kind, BaseModel):
        promise = "a part is an accord.part.Part, whose fields are its settings"
        raise ContractError(name, promise, f"the class {kind.__name__}, which has no such fields")
    return kind


def check(plan: Plan) -> None:
    """Builds every part of every stage, without torch or a model. PlanError at the first that cannot be."""
    for index, stage in enumerate(plan.stage):
        path = f"stage[{index}]"
        _built("sources", stage.source, f"{path}.source")
        if stage.eval is not None:
            _built("sources", stage.eval.source, f"{path}.eval.source")
        for number, ask in enumerate(stage.ask):
            _built("asks", ask, f"{path}.ask[{number}]")
            _built("overseers", ask.overseer, f"{path}.ask[{number}].overseer")
        if stage.versus is not None:
            _built("overseers", stage.versus.overseer, f"{path}.versus.overseer")
        _built("methods", stage.method, f"{path}.method")
        _built("engines", stage.learner, f"{path}.learner")
        for number, table in enumerate(stage.guard.indicator):
            _built("indicators", table, f"{path}.guard.indicator[{number}]")
        for number, table in enumerate(stage.guard.rule or ()):
            _built("rules", table, f"{path}.guard.rule[{number}]")


def _built(group: str, table: PartTable, path: str) -> None:
    part = build(group, table, path)
    try:
        # The config hash covers what a part only names (a function, a file), so reading it proves they exist.
        str(getattr(part, "config", ""))
    except PlanError as error:
        raise error.under(path) from None


def _class(target: str, name: str, path: str) -> type:
    module, _, attribute = target.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), attribute, None)
    except (ImportError, SyntaxError, ValueError) as error:
        lacking = getattr(error, "name", None) or ""
        other = lacking and not f"{module}.".startswith(f"{lacking}.") and not lacking.startswith("accord")
        advice = (
            f"; {module} needs it: install it, or accord[train] where it is for training" if other else ""
        )
        raise PlanError(path, name, "a part that can be imported", f"{error}{advice}") from error
    if not isinstance(found, type):
        close = nearest(attribute, vars(importlib.import_module(module)))
        raise PlanError(
            path, name, f"a class of {module}", f"{module} has no class {attribute!r}. {close}".strip()
        )
    return found


def _inner(annotation: object, value: JSON, path: str) -> object:
    group = _holds(annotation)
    if group and isinstance(value, Mapping) and "name" in value:
        return build(group, value, path)
    if annotation == tuple[str, ...] and isinstance(value, Mapping) and set(value) == {"values"}:
        return _principles(value["values"], path)
    if group and isinstance(value, list):
        return [_inner(annotation, item, f"{path}[{i}]") for i, item in enumerate(value)]
    return value


def _principles(name: JSON, path: str) -> tuple[str, ...]:
    """What the principles of a document of values say, where a setting takes texts: ``{ values = NAME }``."""
    from accord.values import read_values  # reads files, and what reads those

    try:
        return tuple(principle.text for principle in read_values(str(name)).principles)
    except PlanError as error:
        raise error.under(path) from None


def _holds(annotation: object) -> str | None:
    """The group whose parts a setting of this type holds, or None."""
    if isinstance(annotation, type) and annotation in _HOLDERS:
        return _HOLDERS[annotation]
    return next((group for inner in get_args(annotation) if (group := _holds(inner))), None)


def _unchanged(part: BaseModel, key: str, value: JSON, path: str) -> None:
    """A setting means what is written: text is not read as a number, true not as 1."""
    field = type(part).model_fields.get(key)
    became: object = getattr(part, key, None)
    moved = (
        isinstance(value, str | bool) and isinstance(became, int | float) and type(became) is not type(value)
    )
    if field and (moved or (isinstance(became, bool) and not isinstance(value, bool))):
        raise PlanError(path, value, describe(field.annotation, field.metadata))
