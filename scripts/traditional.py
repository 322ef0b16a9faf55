"""Makes the bot's Traditional Chinese texts from the Simplified ones, by OpenCC and the words that it gets wrong.

    .venv/bin/python scripts/traditional.py

Run it after a change in bot/text/locales/zh-CN; tests/bot/test_texts.py fails until then. zh-TW is never written by
hand.
"""

from __future__ import annotations

from pathlib import Path

from opencc import OpenCC

LOCALES = Path(__file__).resolve().parents[1] / "bot" / "text" / "locales"
SIMPLIFIED, TRADITIONAL = LOCALES / "zh-CN", LOCALES / "zh-TW"
#: What OpenCC's phrases make, and what is meant here.
WORDS = {
    "區域性": "局部",  # 局部重画: a part of a picture, not of a network
    "引數": "參數",
    "花括號": "大括號",
    "私信": "私訊",
    "舉報": "檢舉",
    "質量": "品質",
    "重置": "重設",
    "“": "「",
    "”": "」",
}


def converted() -> dict[str, str]:
    """Each file of zh-TW by its name."""
    convert = OpenCC("s2twp").convert
    made: dict[str, str] = {}
    for file in sorted(SIMPLIFIED.glob("*.ftl")):
        text = convert(file.read_text(encoding="utf-8"))
        for wrong, right in WORDS.items():
            text = text.replace(wrong, right)
        made[file.name] = text
    return made


if __name__ == "__main__":
    TRADITIONAL.mkdir(exist_ok=True)
    for name, text in converted().items():
        (TRADITIONAL / name).write_text(text, encoding="utf-8")
