"""Lists by retrieval: retained histories, what of them is shown, prompts and their answers, the re-ranked
lists."""

__all__ = ["categories", "history", "options", "prompts", "ranking", "reranker", "retrieval", "shares"]
