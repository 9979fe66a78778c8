"""What the owner of a deletion request gets: a report, the unlearned model and its lists, in one folder."""

__all__ = ["command"]
