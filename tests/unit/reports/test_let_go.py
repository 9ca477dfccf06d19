"""Pages that were let go as warnings, and judged criteria, in a report: neither reads as "no page".

Mutants: an excused page passed over in silence, the box of one interval shown for that of all, a judge who
only warns among those who take part, the plain tolerance shown for the ceiling.
"""

from __future__ import annotations

from pathlib import Path

from unit.reports.panelled import Script
from unit.reports.written import make_run, plan_of

from accord.judged import Qualified
from accord.pages import Page, Tolerance
from accord.reports import gather, headline, write_report
from accord.reports.following import Following
from accord.reports.watch import guarding, watched

GOOD = {"adverse": 400, "caught": 380, "fine": 600, "cleared": 590, "base": 400, "base_adverse": 20}
TOLERANCES = "tolerances = { " + '"own.kind" = { by = 0.1 }, "own.sure" = { by = 0.1 } }'
COUNTS = ", ".join(f"{name} = {count}" for name, count in GOOD.items())
JUDGES = 'judges = { "own.kind" = { ' + COUNTS + ' }, "own.sure" = {} }'


def judged(folder: Path) -> Path:
    rule = f'answers = 3, rule = [{{ name = "page", {TOLERANCES}, {JUDGES} }}] }}'
    run = make_run(folder, plan_of(windows=4, held_out=False).replace("answers = 3 }", rule))
    with Script(run) as script:
        for k in range(4):
            script.audit()
            script.panel("own.kind", 4, anchor=0.0625)
            script.panel("own.sure", 32, anchor=0.0625)
            script.window(k)
            script.update(k)
        script.finish()
    return run


def test_the_tier_shows_each_judges_box_and_what_follows(tmp_path: Path) -> None:
    run = judged(tmp_path / "r")
    guard = gather(run).stages[0].guard
    assert guard.paging is not None
    told = dict(guard.paging.judged)
    rule = Page(
        tolerances={"own.kind": Tolerance(by=0.1), "own.sure": Tolerance(by=0.1)},
        judges={"own.kind": Qualified.model_validate(GOOD), "own.sure": Qualified()},
    )
    ceiling = rule.against("own.kind")
    assert ceiling is not None
    assert told["own.kind"].startswith("sensitivity .95 (.90 to .98), specificity .98 (.96 to 1.00)")
    assert told["own.kind"].endswith(f"pages above {100 * ceiling.tau:.0f} % as judged")
    assert told["own.sure"].startswith("only warns: 0 adverse and 0 fine outputs of this run")
    of = {one.name: one.paged for one in guard.indicators}
    kind, sure = of["own.kind"], of["own.sure"]
    assert kind is not None and sure is not None
    assert kind.tolerance == f"{ceiling.tau:.3g} as judged"
    assert kind.tolerated is not None
    assert abs(kind.tolerated - (ceiling.tau - 0.0625)) < 1e-12
    assert kind.e is not None
    assert (sure.e, list(guard.paging.armings[0].indicators)) == (None, ["own"])
    page = write_report(run).read_text(encoding="utf-8")
    assert "Judged: own.kind" in page
    assert "pages above" in page
    seen = Following(run).look()
    view = watched(seen, guarding(seen).guard, 1.7e9 + 1000)
    assert view.tier is not None
    assert dict(view.tier.judged) == told


def test_a_page_that_was_let_go_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", plan_of(windows=4, held_out=False))
    with Script(run) as script:
        for k in range(4):
            script.audit()
            bad = script.panel("forward_kl.bits", 30, anchor=0.25)
            if k == 2:
                script.decide("continue", "page", "excused: forward_kl; a gain is established", (bad.id,))
            script.window(k)
            script.update(k)
        script.finish()
    assert "; 1 page let go as a warning, at update 2" in headline(run)
    assert "no page" not in headline(run)
    guard = gather(run).stages[0].guard
    assert [one.action for one in guard.decisions] == ["warning"]
    rule = dict(guard.rules)["page"]
    assert rule.endswith("excuses forward_kl, greedy_rank, wide_diversity, and nothing else")
