"""A language model from a local folder, run by Hugging Face's transformers (an optional package)."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from datasets.errors import InputError
from unlearning.llm.answers import Answer, Decoding, Prompt
from unlearning.llm.options import LLMOptions


class LocalBackend:
    """Runs a model on ``device``; loaded at the first question."""

    def __init__(self, options: LLMOptions, device: torch.device) -> None:
        self._options, self._device = options, device
        self._loaded: tuple[Any, Any] | None = None

    def identity(self) -> dict[str, Any]:
        """The folder's own description and the sizes of its files, not its place."""
        folder = self._folder()
        sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}
        config = (folder / "config.json").read_bytes()
        described = sha256(config + json.dumps(sizes, sort_keys=True).encode()).hexdigest()
        return {"backend": "transformers", "model": described[:16], "dtype": self._options.dtype}

    def check(self) -> None:
        """Raise ``InputError`` where the package or the folder is missing."""
        if importlib.util.find_spec("transformers") is None:
            raise InputError(
                "method.backend=transformers needs the package transformers, which is not installed: "
                "pip install -e .[llm]."
            )
        self._folder()

    def complete(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, Answer]]:
        """See ``Backend``; in batches, in the order of the prompts."""
        for first in range(0, len(prompts), self._options.batch):
            batch = prompts[first : first + self._options.batch]
            yield from enumerate(self._answers(batch, decoding), start=first)

    def _answers(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[Answer]:
        tokenizer, model = self._load()
        began = time.perf_counter()
        texts = [_as_text(tokenizer, prompt) for prompt in prompts]
        given = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(self._device)
        drawn: dict[str, Any] = {"do_sample": decoding.temperature > 0}
        if decoding.temperature > 0:
            torch.manual_seed(decoding.seed)
            drawn["temperature"] = decoding.temperature
        with torch.no_grad():
            out = model.generate(
                input_ids=given["input_ids"],
                attention_mask=given["attention_mask"],
                max_new_tokens=decoding.max_new_tokens,
                pad_token_id=tokenizer.pad_token_id,
                **drawn,
            )
        new = out[:, given["input_ids"].shape[1] :]
        seconds = (time.perf_counter() - began) / len(prompts)
        return [
            Answer(
                tokenizer.decode(own, skip_special_tokens=True),
                int(mask.sum()),
                int((own != tokenizer.pad_token_id).sum()),
                seconds,
            )
            for own, mask in zip(new, given["attention_mask"], strict=True)
        ]

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from transformers import AutoModelForCausalLM, AutoTokenizer

            folder = str(self._folder())
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            dtype = "auto" if self._options.dtype == "auto" else getattr(torch, self._options.dtype)
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype)
            self._loaded = tokenizer, model.to(self._device).eval()
        return self._loaded

    def _folder(self) -> Path:
        folder = Path(self._options.folder or "")
        if self._options.folder is None or not (folder / "config.json").is_file():
            raise InputError(
                f"method.llm.folder={self._options.folder} holds no config.json: give the folder of a "
                "model in Hugging Face's layout; nothing is downloaded."
            )
        return folder


def _as_text(tokenizer: Any, prompt: Prompt) -> str:
    """The prompt as the model's chat template has it; without one, one part after the other."""
    if tokenizer.chat_template is None:
        return f"{prompt.system}\n\n{prompt.user}\n"
    return str(tokenizer.apply_chat_template(prompt.messages(), tokenize=False, add_generation_prompt=True))
