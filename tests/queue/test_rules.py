"""Rules find their words in every disguise, leave ordinary prompts alone, and cannot be made to run for long."""

from __future__ import annotations

import time

import pytest
from bypasses import DISGUISES, PATHS, PHRASES, WORDS, attempts
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daguerre.queue.moderation.rules import MAX_RULES, Action, BadRule, Book, Rule, _any_of, book_of, checked_rule
from daguerre.queue.moderation.rules_default import default_rules

FORBIDDEN = tuple(Rule(pattern=word) for word in (*WORDS, *PHRASES))


def found(rules: tuple[Rule, ...], text: str) -> bool:
    return bool(book_of(rules).check({"prompt": text}).hits)


def test_no_disguised_attempt_gets_through() -> None:
    """57 disguises, 20 attempts each, over every path that brings text."""
    every = list(attempts())
    through = [attempt for attempt in every if not book_of(FORBIDDEN).check({attempt.path: attempt.text}).hits]
    assert (len(every), len({each.disguise for each in every}), {each.path for each in every}) == (1140, 57, set(PATHS))
    assert through == []


@pytest.mark.parametrize(
    "typed",
    [
        # Canadian syllabics, Cherokee, Yi, runes, Braille
        "ᑎᑌᗪᗴ", "ᏁᏬᎴᏋ", "ꈤꀎꀸꍟ", "ᚾᚢᛞᛖ", "⠝⠥⠙⠑",
        # Han, kana and Thai shapes, alone and within a sentence of such writing
        "几ㄩᗪ乇", "刀u刀乇d 刀ude", "ภย๔є", "一张几ㄩᗪ乇图片",
        # currency, phonetic and African letters, Cyrillic and Greek ones, mathematics
        "₦ɄĐɆ", "nʊde", "ŋųɖɛ", "nυԃҽ", "ηυδε", "nu∂e", "ｎυ∂∈",
        # signs and emoji
        "p⭕rn", "po®n", "p©rn", "se✕", "🅝🅤🅓🅔", "f⭕®bidden",
        # letters of several signs
        r"|\|ude", r"|\||_||)[-", "n|_|de", "f()rbidden",
        # another order
        "\u202eedun", "a \u202eedun\u202c cat", "ǝpnu", "nͧdͤ",
        # run together, and signs that are a word
        "seminude", "fullynaked", "nakedgirl", "卐", "卍", "a 卐 on a flag",
        # beside writing without blanks
        "一张nude图片", "nude를", "ヌードnude画像",
    ],
)  # fmt: skip
def test_each_kind_of_disguise_is_found(typed: str) -> None:
    """By the shipped list, and by a rule of a server's own."""
    book = book_of((*default_rules(), *FORBIDDEN))
    assert book.check({"prompt": typed}).action is Action.REFUSE, typed


def test_a_sign_that_is_a_word_or_an_emoji_is_found_by_the_word() -> None:
    """Whatever the word is, and it is replaced whole."""
    rule = Rule(pattern="water pistol", action=Action.REPLACE, replacement="flower")
    verdict = book_of((rule,)).check({"prompt": "a cat with a 🔫!"})
    assert verdict.replaced("prompt", "a cat with a 🔫!") == "a cat with a flower!"
    assert found((Rule(pattern="swastika"),), "卍")
    assert found((Rule(pattern="卍"),), "a swastika")
    assert found((Rule(pattern="red apple"),), "<:red_apple:123456789012345678>")


def test_a_sign_of_several_letters_is_any_of_them() -> None:
    """`©` stands for o and c, `δ` for d and o; a regular expression takes the first."""
    for word in ("scat", "soat"):
        assert found((Rule(pattern=word),), "s©at"), word
    assert found((Rule(pattern="dodo"),), "δδδδ")
    assert found((Rule(kind="regex", pattern=r"\bnude\b"),), "ηυde")


def test_places_are_right_whatever_the_order() -> None:
    """Of text that runs from right to left, and of letters of several signs."""
    rule = Rule(pattern="nude", action=Action.REPLACE, replacement="dressed")
    for text, left in (("a \u202eedun\u202c cat", "a \u202edressed\u202c cat"), (r"a |\|ude cat", "a dressed cat")):
        assert book_of((rule,)).check({"prompt": text}).replaced("prompt", text) == left


@pytest.mark.parametrize(
    "prompt",
    [
        "刀を持つ人", "工人和山口", "人口と日の丸", "一只红苹果在山上", "красное яблоко на столе", "Кот и собака",
        "κόκκινο μήλο", "แมวสองตัว", "תפוח אדום", "كلب أحمر", "빨간 사과 두 개", "groß & weiß, süß", "©2026 cat ® dog ™",
        "3 × 4 ⭕ ❌ ✔", "∀x∈ℝ: f(x) = √x", "price: ₩500, ₹20, £3", "[x] cat {y} <3", "a \\ b / c | d", "o(^_^)o",
        "nuclear plant", "superape", "all egoryes", "½ apple", "Ⓜ️ metro sign", "🅿️ parking", "😀😂🔥💯",
        "2 lol | 4k", "supergirl", "semi-detached house", "a turtle and a ʇ", "Zoë’s naïve façade", "𝓯𝓪𝓷𝓬𝔂 cat",
    ],
)  # fmt: skip
def test_ordinary_writing_in_other_letters_passes(prompt: str) -> None:
    """What looks like Latin letters is read as such beside itself, never instead."""
    assert book_of(default_rules()).check({"prompt": prompt}).hits == ()


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguise_changes_the_text_that_is_compared(disguise: str) -> None:
    """The campaign attacks: but for the undisguised ones, a plain comparison would miss what the rules find."""
    texts = [attempt.text for attempt in attempts(5) if attempt.disguise == disguise]
    missed = [text for text in texts if not any(word in text for word in (*WORDS, *PHRASES))]
    assert bool(missed) == (disguise not in ("as it stands", "behind a prefix"))


@pytest.mark.parametrize(
    "prompt",
    [
        "a pen is on the desk", "a classic essex church", "a man of 55 years", "cat, dog and (red) fox!",
        "5 exotic birds",
        "a cockatoo in the sun", "scunthorpe in the rain", "a grape and an ass ess or", "pass the sausage", "therapist",
        "a bass guitar", "12 apples + 34 pears", "one hat { two }", "C++ code", "50% grey * 2", "Dachau-free zone",
    ],
)  # fmt: skip
def test_ordinary_prompts_pass_the_shipped_list(prompt: str) -> None:
    """Words are matched whole, and blanks between real words hide nothing."""
    assert book_of(default_rules()).check({"prompt": prompt}).hits == ()


def test_a_pattern_of_the_shipped_list_refuses() -> None:
    """Each finds itself, and each refuses."""
    book = book_of(default_rules())
    for rule in default_rules():
        verdict = book.check({"prompt": f"a {rule.pattern.rstrip('*')} on the moon"})
        assert verdict.action is Action.REFUSE, rule.pattern


def test_a_star_at_the_end_allows_any_ending_and_nothing_else_does() -> None:
    assert found((Rule(pattern="grub*"),), "grubbiest")
    assert not found((Rule(pattern="grub"),), "grubbiest")
    assert not found((Rule(pattern="grub*"),), "engrub")


def test_words_of_scripts_without_blanks_are_found_inside_a_sentence() -> None:
    assert found((Rule(pattern="禁止"),), "これは禁止されています")
    assert found((Rule(pattern="запрет"),), "большой ЗАПРЕТ тут")
    assert not found((Rule(pattern="запрет"),), "запреты")


def test_replace_takes_the_disguised_word_out_of_the_text_as_typed() -> None:
    """The rest stays as it was."""
    rule = Rule(pattern="forbidden", action=Action.REPLACE, replacement="friendly")
    text = "A Red f.0.r.b.i.d.d.e.n Fox, ｆｏｒｂｉｄｄｅｎ!"
    verdict = book_of((rule,)).check({"prompt": text})
    assert verdict.action is Action.REPLACE
    assert verdict.replaced("prompt", text) == "A Red friendly Fox, friendly!"
    assert verdict.replaced("negative", text) == " ".join(text.split())


def test_the_strictest_action_counts() -> None:
    rules = (Rule(pattern="cat", action=Action.SPOILER), Rule(pattern="dog", action=Action.HOLD))
    verdict = book_of(rules).check({"prompt": "a cat", "negative": "a dog"})
    assert verdict.action is Action.HOLD
    assert verdict.has(Action.SPOILER)
    assert not verdict.has(Action.REFUSE)


@pytest.mark.parametrize("bomb", ["(a+)+$", "(a|a)*b", "(.*)*x", "(a?){30}a{30}", "((a*)*)*c", r"(\w+\s?)*!"])
def test_a_regex_bomb_costs_no_time(bomb: str) -> None:
    """RE2 runs in time linear in the text: patterns that take a backtracking engine years."""
    book = Book([checked_rule(kind="regex", pattern=bomb)])
    begun = time.perf_counter()
    book.check({"prompt": "a" * 999 + "!"})
    assert time.perf_counter() - begun < 1.0


def test_any_text_is_read_in_little_time() -> None:
    """The longest prompt of the worst characters, against the whole shipped list; of this process's own time."""
    book = book_of(default_rules())
    book.check({"prompt": "warm"})
    for text in (
        "*" * 1000,
        "p o " * 250,
        "(" * 1000,
        "s" * 1000,
        "\u200b" * 1000,
        "ﷺ" * 1000,
        "p*" * 500,
        "|\\|" * 333,
        "⭕(" * 500,
        "几!" * 500,
    ):
        begun = time.process_time()
        book.check({"prompt": text})
        assert time.process_time() - begun < 1.0, text[:4]


def test_a_regular_expression_sees_through_disguises_too() -> None:
    rule = checked_rule(kind="regex", pattern=r"\bmad (cat|dog)s?\b")
    assert found((rule,), "two MAD dogs")
    assert found((rule,), "ｍａｄ cat")
    assert found((rule,), "m\u200bad c\u0430t")
    assert not found((rule,), "a mad fox")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"pattern": "("} | {"kind": "regex"}, "rules.bad.regex"),
        ({"pattern": "(?=a)", "kind": "regex"}, "rules.bad.regex"),
        ({"pattern": "a*", "kind": "regex"}, "rules.bad.empty"),
        ({"pattern": "(a{1000}){1000}", "kind": "regex"}, "rules.bad.regex"),
        ({"pattern": "..."}, "rules.bad.short"),
        ({"pattern": "x"}, "rules.bad.short"),
        ({"pattern": "cat", "action": "replace", "replacement": "c@t"}, "rules.bad.replacement"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_its_reason(fields: dict[str, str], code: str) -> None:
    with pytest.raises(BadRule) as refused:
        checked_rule(**fields)
    assert refused.value.code == code


@pytest.mark.parametrize("fields", [{"pattern": ""}, {"pattern": "y" * 201}, {"pattern": "cat", "action": "explode"}])
def test_a_rule_out_of_range_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        checked_rule(**fields)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_read_without_error_and_with_true_places(text: str) -> None:
    """Places lie inside the text, whatever its characters fold to."""
    for hit in book_of((Rule(pattern="ab*"), Rule(kind="regex", pattern="[a-f]+"))).check({"prompt": text}).hits:
        assert 0 <= hit.start < hit.end <= len(text)


def test_looking_at_all_words_at_once_misses_none() -> None:
    """One look at all words sorts texts out; what it lets through is found by each word on its own as before."""
    texts = [attempt.text for attempt in attempts(3)] + ["a red apple", "a bass guitar", "grass", "", "ass" * 100]
    one_by_one = Book(FORBIDDEN)
    one_by_one._any_word = None
    book = Book(FORBIDDEN)
    assert [book.check({"prompt": text}) for text in texts] == [one_by_one.check({"prompt": text}) for text in texts]
    assert book._any_word is not None
    assert book._any_word.search("a red apple on a table") is None


def test_more_words_than_fit_into_one_pattern_are_left_to_each_on_its_own() -> None:
    """The longest list of the longest words; what nothing can be said of at once is looked at word by word."""
    assert _any_of([(f"{number:03}" + "xyz" * 65,) for number in range(MAX_RULES)]) is None
    assert _any_of([]) is None
