"""The leaderboard as one self-contained HTML page."""

__all__ = ["command", "content", "page"]
