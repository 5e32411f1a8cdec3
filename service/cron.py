"""Cron expressions of the configuration: five fields, UTC, checked when they are read."""

from apscheduler.triggers.cron import CronTrigger


def check_cron(text: str) -> str:
    """Give the expression back, or say which one is wrong; the scheduler would only say so at night."""
    try:
        CronTrigger.from_crontab(text, timezone="UTC")
    except ValueError as error:
        raise ValueError(f"{text!r} is not a cron expression of five fields: {error}") from None
    return text
