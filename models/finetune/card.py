"""The card of an adapter: what it is, how to use it, and whose it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .pictures import prompt


def card(settings: Mapping[str, Any], prompts: Sequence[str]) -> str:
    """`README.md` of an adapter folder, from its `config.json`."""
    loss: Mapping[str, Mapping[str, float]] = settings["loss"]
    labels = {"learnt": "pictures it learnt from", "held_out": "pictures kept out of training"}
    figures = "\n".join(f"| {labels[part]} | {a['base']:.4f} | {a['adapter']:.4f} |" for part, a in loss.items())
    example = prompt(prompts[0], settings["trigger"])
    trigger = f"Begin prompts with `{settings['trigger']}`, as in" if settings["trigger"] else "For example"
    return f"""---
library_name: diffusers
tags: [lora, text-to-image]
---
# LoRA adapter for {settings["base"]}

Rank {settings["rank"]}, trained by Daguerre on {settings["pictures"]} pictures of {settings["size"]} px for
{settings["steps"]} steps. `config.json` holds every number, and the digests of base and pictures.

## Use
{trigger} `{example}`.

```python
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained("{settings["base"]}", use_safetensors=True, safety_checker=None)
pipeline.load_lora_weights("this folder")
pipeline("{example}", num_inference_steps={settings["recipe"]["sample_steps"]}).images[0].save("picture.png")
```

## Measured
Mean training loss at fixed noise; lower is better.

| | base | with adapter |
|---|---|---|
{figures}

## Whose it is
The pictures and captions stay their owner's. They were read on the machine that trained this, they were sent nowhere,
and no picture is in this folder. The adapter belongs to whoever trained it, as far as the rights in the pictures and
the licence of the base allow; Daguerre's authors claim nothing in it. An adapter can reproduce what it was trained on:
share it only if the pictures may be shared.
"""
