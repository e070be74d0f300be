"""What became of a simulated world over days: machines, money, waiting, moves; the world is only read."""

from providers.sandbox.chronicle.chronicle import Chronicle
from providers.sandbox.chronicle.hours import Hours
from providers.sandbox.chronicle.machines import Ended, Launched, Machines
from providers.sandbox.chronicle.moves import Moves
from providers.sandbox.chronicle.waiting import Left, Wait, Waiting

__all__ = ["Chronicle", "Ended", "Hours", "Launched", "Left", "Machines", "Moves", "Wait", "Waiting"]
