"""A second opinion on a plan: counted again from the problem alone, with none of the solver's code."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.packing.solver.problem import Packing, Problem

_CENT_OF_A_CENT = 1e-4


def faults(problem: Problem, packing: Packing) -> list[str]:
    """List everything that is wrong with a plan, in words; empty when it is valid.

    Every copy is placed or named as unplaced; no machine holds more than its room, than ``most`` allows, or what may
    not go there, and none has a token twice; no offering is bought more often than it may be had; the cost is the sum
    of the prices, and the bound is not above it.
    """
    found: list[str] = []
    placed: Counter[int] = Counter()
    bought: Counter[int] = Counter()
    for purchase in packing.purchases:
        offering = problem.offerings[purchase.offering]
        what = f"{offering.name} with {purchase.copies}"
        if purchase.count < 1:
            found.append(f"{what}: bought {purchase.count} times")
        bought[purchase.offering] += purchase.count
        for shape, copies in purchase.copies:
            placed[shape] += copies * purchase.count
            allowed = problem.shapes[shape].offerings
            if allowed is not None and purchase.offering not in allowed:
                found.append(f"{what}: shape {shape} may not go there")
        found += [f"{what}: {fault}" for fault in _machine(problem, offering.room, purchase.copies, frozenset())]
    for filling in packing.fillings:
        place = problem.bins[filling.bin]
        what = f"existing machine {place.name} with {filling.copies}"
        most = dict(place.most)
        for shape, copies in filling.copies:
            placed[shape] += copies
            if place.shapes is not None and shape not in place.shapes:
                found.append(f"{what}: shape {shape} may not go there")
            if copies > most.get(shape, copies):
                found.append(f"{what}: {copies} of shape {shape}, {most[shape]} are allowed")
        found += [f"{what}: {fault}" for fault in _machine(problem, place.room, filling.copies, place.tokens)]
    twice = [n for n, times in Counter(f.bin for f in packing.fillings).items() if times > 1]
    found += [f"existing machine {problem.bins[n].name} is filled twice" for n in twice]
    for n, times in bought.items():
        available = problem.offerings[n].available
        if available is not None and times > available:
            found.append(f"{problem.offerings[n].name} is bought {times} times, {available} may be had")
    for unplaced in packing.unplaced:
        placed[unplaced.shape] += unplaced.count
    found += [
        f"shape {s.name}: {placed[n]} of {s.count} copies are accounted for"
        for n, s in enumerate(problem.shapes)
        if placed[n] != s.count
    ]
    cost = sum(problem.offerings[p.offering].price * p.count for p in packing.purchases)
    if abs(cost - packing.cost) > _CENT_OF_A_CENT * max(1.0, cost):
        found.append(f"cost is {packing.cost}, the prices add up to {cost}")
    if packing.bound > packing.cost:
        found.append(f"the bound {packing.bound} is above the cost {packing.cost}")
    return found


def _machine(
    problem: Problem, room: tuple[int, ...], copies: tuple[tuple[int, int], ...], taken: frozenset[str]
) -> list[str]:
    """List what is wrong with one machine's content."""
    found = []
    for d, have in enumerate(room):
        need = sum(problem.shapes[s].size[d] * n for s, n in copies)
        if need > have:
            found.append(f"takes {need} of {have} in dimension {d}")
    tokens: Counter[str] = Counter(taken)
    for s, n in copies:
        shape = problem.shapes[s]
        if n < 1:
            found.append(f"{n} copies of shape {shape.name}")
        if shape.most is not None and n > shape.most:
            found.append(f"{n} copies of shape {shape.name}, {shape.most} are allowed")
        for token in shape.tokens:
            tokens[token] += n
    found += [f"token {token} is taken {n} times" for token, n in sorted(tokens.items()) if n > 1]
    return found
