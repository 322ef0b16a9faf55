"""The denoiser that draws from drawings, and the bank of drawings it draws from.

What needs torch is imported by its own name: `network`, `pipeline`, `reading`, `shelf`, `assemble`.
"""

from . import bank, own
from .bank import BankThing, Entry, Reference
from .search import NEAR, Found, Search
from .spelling import worded

__all__ = ["NEAR", "BankThing", "Entry", "Found", "Reference", "Search", "bank", "own", "worded"]
