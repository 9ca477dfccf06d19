"""The start of a learner on every rank: rank 0's side, and what a follower is told first."""

from __future__ import annotations

import gc
import pickle
from typing import TYPE_CHECKING, NamedTuple

import torch

from accord.engines.local import Local
from accord.engines.ranks.followers import Followers
from accord.engines.ranks.group import Group, Place
from accord.engines.ranks.learner import RankLearner
from accord.ports import Task
from accord.progress import Silent

if TYPE_CHECKING:
    from accord.engines.ranks import Ranks

__all__ = ["Begin", "led"]


class Begin(NamedTuple):
    """All that a rank needs to open the same learner."""

    place: Place
    local: Local
    model: str
    task: Task

    def joined(self, followers: Followers | None = None) -> RankLearner:
        """The learner of this rank, once all others have theirs."""
        place = self.place
        if self.local.device != "cpu" and torch.cuda.is_available():
            torch.cuda.set_device(place.rank)
        group = Group(place, followers)
        learner = RankLearner(self.local, *self.local.start(self.model, self.task), group)
        if followers is None:
            (place.folder / f"{place.rank}.ready").touch()
        else:
            followers.until_ready(place.timeout)
        group.join()
        return learner


def led(config: Ranks, model: str, task: Task) -> RankLearner:
    """Rank 0's learner, with the other ranks behind it."""
    # The learner of the stage before stands in a cycle with its loop; until it goes, so do its processes.
    gc.collect()
    threads = max(1, torch.get_num_threads() // config.processes)
    followers = Followers(config.processes - 1)
    place = Place(0, config.processes, threads, followers.folder, config.timeout)
    begin = Begin(place, config.local, model, task)
    silent = begin._replace(task=task._replace(progress=Silent()))
    try:
        followers.start(lambda rank: pickle.dumps(silent._replace(place=place._replace(rank=rank))))
        return begin.joined(followers)
    except BaseException as error:
        followers.close(error)
        raise
