from django.apps import AppConfig


class TradeBotConfig(AppConfig):
    """The project's own app: management commands and what all apps share."""

    name = "tradebot"
    verbose_name = "TradeBot"
