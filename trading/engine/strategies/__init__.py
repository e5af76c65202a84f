"""The strategies, by name. Another one is a file here and a line in the table."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trading.engine.strategies.base import Strategy
from trading.engine.strategies.ema import Ema
from trading.engine.strategies.multi import Multi
from trading.engine.strategies.simple import Simple

STRATEGIES: Mapping[str, type[Strategy]] = MappingProxyType(
    {strategy.name: strategy for strategy in (Ema, Multi, Simple)}
)
