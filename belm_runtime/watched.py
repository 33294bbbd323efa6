"""A network as a reversible gradient needs it: a function of what is declared, and of nothing else.

Every prediction is made with its graph, which is looked through and let go: what requires a gradient and is used has
to be declared, or its gradient would silently be zero. The way back makes the same call again, with the graph again,
so that kernels that differ with and without one give the same bits both times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.autograd.graph import get_gradient_edge

from belm_runtime.errors import InputError
from belm_runtime.guidance import through
from belm_runtime.run import Model, described, graphed

#: How many roundings of its dtype two predictions for the same state may differ by, and how much at most: kernels may
#: add up in another order, dropout does more.
SAME, MOST = 1000, 0.05

Edge = tuple[Any, int]


class Watched:
    """A model on the way there; `model` is what a run is given in its place.

    Attributes:
        shared: whether predictions share a graph that is older than they are, as that of an embedding made before the
            run; a backward pass through one of them then has to leave it to the others.
    """

    def __init__(self, model: Any, declared: Sequence[torch.Tensor]) -> None:
        """Watch a model.

        Args:
            model: anything a sampler takes.
            declared: the tensors that it may use and that require a gradient.

        Raises:
            InputError: one of the declared tensors is made of another.
        """
        parameters = model.named_parameters() if isinstance(model, torch.nn.Module) else ()
        self.names: Mapping[int, str] = {id(parameter): f"parameter {name}" for name, parameter in parameters}
        self.declared = {_edge(tensor) for tensor in declared}
        for tensor in declared:
            if self.declared & set(_edges(tensor, stop=set())) - {_edge(tensor)}:
                raise InputError(
                    f"wrt holds a tensor of shape {tuple(tensor.shape)} and another that it is made of; declare one of "
                    "them, the one that the model uses"
                )
        self._asked = self._depends = self.shared = False
        self.model: Model = through(model, self._call)

    def _call(self, model: Model, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        prediction = self._look(model, x, t)
        # What is no tensor, empty or not finite is the run's to judge.
        if not self._asked and isinstance(prediction, torch.Tensor) and prediction.numel():
            self._asked = True
            # A model may answer in a buffer of its own, which the next answer overwrites.
            prediction = prediction.clone()
            again = self._look(model, x, t)
            allowed = min(SAME * torch.finfo(prediction.dtype).eps, MOST) if prediction.is_floating_point() else 0.0
            same = (again - prediction).abs().max() <= allowed * prediction.abs().max()
            if not bool(same | ~prediction.isfinite().all()):
                raise InputError(
                    "the model gives different predictions for the same state; a reversible gradient evaluates it "
                    "again, so it has to be deterministic: call .eval() on it, or fix its random numbers"
                )
            if not self._depends and not torch.equal(self._look(model, 0.99 * x + 0.01, t), prediction):
                raise InputError(
                    "the model's answer changes with x but has no gradient, so that of the run would be wrong: it runs "
                    "under torch.no_grad or inference_mode, or detaches"
                )
        return prediction

    def _look(self, model: Model, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        leaf, seen, prediction = graphed(model, x, t)
        if seen._version:
            raise InputError("the model changes its input in place; the state it was given is needed again")
        if isinstance(prediction, torch.Tensor):
            first, _ = _edge(seen)
            for node, _ in _edges(prediction, stop=self.declared | {_edge(leaf)}):
                self._check(node)
                self.shared = self.shared or _older(node, first)
            self._depends = self._depends or prediction.requires_grad
            prediction = prediction.detach()
        return prediction

    def _check(self, node: Any) -> None:
        if hasattr(node, "variable"):
            name = self.names.get(id(node.variable), f"a tensor of shape {tuple(node.variable.shape)}")
            raise InputError(
                f"the model uses {name}, which requires a gradient and is not declared: add it to wrt, or detach it"
            )
        if node.name() == "CheckpointFunctionBackward":
            raise InputError(
                "the model uses torch.utils.checkpoint with use_reentrant=True, which hides what it depends on; use "
                "use_reentrant=False"
            )


def declare(model: Any, states: Sequence[torch.Tensor], wrt: Sequence[torch.Tensor] | None) -> list[torch.Tensor]:
    """The tensors to differentiate by: those of `wrt`, or the states and the parameters of a module.

    Raises:
        InputError: `wrt` is no list; nothing requires a gradient; a tensor of `wrt` does not; a state does and
            is not in `wrt`; under torch.inference_mode.
    """
    if torch.is_inference_mode_enabled():
        raise InputError("there are no gradients under torch.inference_mode; call sample outside of it")
    if isinstance(wrt, (torch.Tensor, str)) or not isinstance(wrt, (Iterable, type(None))):
        raise InputError(f"wrt is {described(wrt)}; it must be a list of tensors, as in wrt=[x]")
    wanted = [x for x in states if isinstance(x, torch.Tensor) and x.requires_grad]
    if wrt is None:
        parameters = list(model.parameters()) if isinstance(model, torch.nn.Module) else []
        declared = [*wanted, *(parameter for parameter in parameters if parameter.requires_grad)]
    else:
        declared = list(wrt)
        for tensor in declared:
            if not isinstance(tensor, torch.Tensor) or not tensor.requires_grad:
                raise InputError(f"wrt holds {described(tensor)} that requires no gradient; call requires_grad_()")
        if missing := [x for x in wanted if not any(x is tensor for tensor in declared)]:
            raise InputError(
                f"the run starts from {described(missing[0])} that requires a gradient and is not in wrt: add it, or "
                "detach it"
            )
    if not declared:
        raise InputError("there is nothing to differentiate by: neither x nor a parameter requires a gradient")
    return list({id(tensor): tensor for tensor in declared}.values())


def _older(node: Any, first: Any) -> bool:
    """Whether a node of a graph was made before another."""
    return bool(node._sequence_nr() < first._sequence_nr())


def _edge(tensor: torch.Tensor) -> Edge:
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def _edges(tensor: torch.Tensor, stop: set[Edge]) -> Iterator[Edge]:
    """The edges of the graph above a tensor, not beyond those of `stop`, which are left out."""
    if not tensor.requires_grad:
        return
    stack, seen = [_edge(tensor)], {_edge(tensor)}
    while stack:
        edge = stack.pop()
        if edge in stop:
            continue
        yield edge
        for following in edge[0].next_functions:
            if following[0] is not None and following not in seen:
                seen.add(following)
                stack.append(following)
