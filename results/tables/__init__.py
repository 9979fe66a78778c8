"""What each table shows: layouts, measured places, the leaderboard, rankings, what is missing and why."""

__all__ = [
    "audit_table",
    "distance_table",
    "explain",
    "explain_row",
    "fronts",
    "layout",
    "leaderboard",
    "marks",
    "measured",
    "missing",
    "printed",
    "ranking",
    "ranks_table",
    "sensitivity_table",
    "speed_up",
    "stream_table",
    "text_table",
]
