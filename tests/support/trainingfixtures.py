"""The toy text encoder and its tokenizer: a pytest plugin, named by those files."""

from __future__ import annotations

from typing import Any

import modelkit
import pytest


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return modelkit.tokenizer()


@pytest.fixture(scope="module")
def text(tokenizer: Any) -> Any:
    return modelkit.text_encoder(tokenizer)
