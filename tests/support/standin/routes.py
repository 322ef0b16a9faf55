"""Every route that the stand-in has."""

from __future__ import annotations

from . import routes_applications, routes_channels, routes_expressions, routes_interactions
from .rest import Route

ROUTES: tuple[Route, ...] = (
    *routes_applications.ROUTES,
    *routes_channels.ROUTES,
    *routes_interactions.ROUTES,
    *routes_expressions.ROUTES,
)
