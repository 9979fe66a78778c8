"""How a language model is asked, as options of a method. Light on purpose: no torch, no HTTP client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

Money = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class LLMOptions:
    """All defaults are ours, but where a source is named."""

    base_url: str = "http://localhost:8000/v1"
    """Of an OpenAI-compatible server, up to and without ``/chat/completions``."""
    model: str = ""
    """Its name on the server. Published: Llama-3-8B-Instruct."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; null: none is sent. The key itself is stored
    nowhere."""
    timeout: Annotated[float, Field(gt=0)] = 60.0
    """Seconds until a call counts as lost."""
    retries: Annotated[int, Field(ge=0)] = 5
    """Of a call after time-outs, lost connections and answers 408, 409, 429 and 5xx."""
    parallel: Annotated[int, Field(ge=1)] = 8
    """Calls at the same time."""
    json_mode: bool = False
    """Ask the server for JSON; not every server knows how."""
    folder: str | None = None
    """Of a model in Hugging Face's layout, for ``backend=transformers``; nothing is downloaded."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """Of a local model's weights; auto: as stored. Published: bfloat16."""
    batch: Annotated[int, Field(ge=1)] = 8
    """Prompts that a local model answers at once."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """Of the first try; 0 is greedy. Published: as the model ships."""
    retry_temperature: Annotated[float, Field(ge=0)] = 0.3
    """Of further tries, whose seed differs as well."""
    seed: int = 0
    """Handed to the server, where it knows such a thing."""
    tries: Annotated[int, Field(ge=1)] = 5
    """How often a user's answer is asked for until it can be read. Published: 5."""
    max_input_tokens: Annotated[int, Field(ge=256)] = 4096
    """Of a prompt; the history is cut to fit, the candidates never are."""
    replay: Literal["on", "only", "off"] = "on"
    """``on``: answers are kept and found again; ``only``: what is not kept is refused; ``off``: neither."""
    budget_tokens: Annotated[int, Field(ge=1)] | None = 5_000_000
    """Refused before anything starts where more are to be expected; null: no limit."""
    budget_money: Money | None = None
    """The same in the currency of the prices."""
    price_in: Money | None = None
    """Of a million tokens of prompts; null: not known."""
    price_out: Money | None = None
    """Of a million tokens of answers; null: not known."""
