"""What each table shows: layouts, measured places, the leaderboard, rankings, what is missing and why."""

__all__ = [
    "audit_table",
    "explain",
    "fronts",
    "layout",
    "leaderboard",
    "measured",
    "missing",
    "ranking",
    "text_table",
]
