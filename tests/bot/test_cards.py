"""What the message of one job says, from its state."""

from __future__ import annotations

import io
import itertools
import re
from dataclasses import replace

import pytest
from botkit import png
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sourcekit import a_job

from daguerre.bot.message.address import Address
from daguerre.bot.message.card import alt_text, file_name
from daguerre.bot.message.cards import (
    bar,
    broken_card,
    finished_card,
    live_card,
    lost_card,
    one_picture_card,
    too_large_card,
)
from daguerre.bot.message.encode import XMP, grid, ladder
from daguerre.bot.message.keys import EMOJI, TEMPLATE, Key, grid_rows, more_rows, picture_rows, waiting_rows
from daguerre.bot.moderation.report_cards import card_words
from daguerre.bot.moderation.reports import REASON
from daguerre.bot.text.markup import shown
from daguerre.queue.moderation.reports import Report
from daguerre.queue.prompt.vocabulary import UnknownWord, VocabularyReport
from daguerre.queue.records.jobs import JobState, Progress
from daguerre.queue.records.requests import MAX_PROMPT, MAX_SEED, image_request


def test_a_queued_job_says_its_place() -> None:
    """Place N; the first one is next in line."""
    assert "place 3" in live_card(a_job(), place=3, workers=1).content
    assert "next in line" in live_card(a_job(), place=1, workers=1).content


def test_without_a_worker_the_card_says_so_and_that_the_job_waits() -> None:
    """Nobody should wonder why nothing moves."""
    card = live_card(a_job(), place=3, workers=0)
    assert "No worker is connected" in card.content
    assert "will be rendered when one comes back" in card.content


def test_a_running_job_says_step_k_of_n_with_a_bar() -> None:
    """Progress is readable as words and as a picture."""
    job = a_job(JobState.RUNNING)
    card = live_card(job, place=1, workers=1, progress=Progress(job.id, step=4, steps=16))
    assert "step 4 of 16" in card.content
    assert "▰▰▰▱▱▱▱▱▱▱▱▱" in card.content


@pytest.mark.parametrize(("step", "steps", "full"), [(0, 16, 0), (16, 16, 12), (99, 16, 12), (-1, 16, 0), (1, 0, 0)])
def test_the_bar_never_leaves_its_frame(step: int, steps: int, full: int) -> None:
    """Whatever a worker reports, twelve cells are drawn."""
    assert bar(step, steps) == "▰" * full + "▱" * (12 - full)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.SENT, JobState.RUNNING])
def test_only_a_live_job_can_be_cancelled(state: JobState) -> None:
    """The button goes when there is nothing left to cancel."""
    assert live_card(a_job(state), place=1, workers=1).cancellable
    for ended in (JobState.RENDERED, JobState.FAILED, JobState.DEAD, JobState.CANCELLED):
        assert not finished_card(a_job(ended)).cancellable


def test_the_finished_message_has_all_that_repeats_the_picture() -> None:
    """Seed, size, steps and guidance, as they were used."""
    content = finished_card(a_job(JobState.RENDERED, steps=20, width=512, guidance=4.5)).content
    assert "a red apple" in content
    assert "seed 7 · 512 × 256 · 20 steps · guidance 4.5" in content


def test_the_seeds_of_several_pictures_are_a_range() -> None:
    """Picture k is drawn with seed + k, and wraps at the largest seed."""
    assert "seeds 7 to 10" in finished_card(a_job(JobState.RENDERED, count=4)).content
    assert f"seeds {MAX_SEED} to 0" in finished_card(a_job(JobState.RENDERED, count=2, seed=MAX_SEED)).content


def test_failures_say_what_happened_and_what_to_do() -> None:
    """Failed, dead, cancelled, lost and too large are different things."""
    assert "Not rendered" in finished_card(replace(a_job(JobState.FAILED), error="anything")).content
    dead = finished_card(a_job(JobState.DEAD)).content
    assert "broke 3 times" in dead
    assert "01234567" in dead
    assert "Cancelled" in finished_card(a_job(JobState.CANCELLED)).content
    assert "cannot be read" in lost_card(a_job()).content
    assert "fewer pictures" in too_large_card(a_job()).content
    assert "abcd1234" in broken_card(a_job(), "abcd1234").content


def test_a_picture_that_was_made_smaller_says_so() -> None:
    """A JPEG instead of a PNG is not passed off as the original."""
    assert "Sent as JPEG" in finished_card(a_job(JobState.RENDERED), sent_as="JPEG").content
    assert "Sent as" not in finished_card(a_job(JobState.RENDERED)).content


def test_unknown_words_are_named_with_what_is_near_them() -> None:
    """The picture is drawn all the same; the card says what it may lack."""
    report = VocabularyReport((UnknownWord("appel", ("apple",)), UnknownWord("qwrt", ())), anything_known=True)
    content = live_card(a_job(), place=1, workers=1, report=report).content
    assert "“appel” (do you mean apple?), “qwrt”" in content
    assert "“appel”" in finished_card(a_job(JobState.RENDERED), report=report).content


def test_what_is_near_by_meaning_is_not_called_a_slip() -> None:
    """A dragon is no misspelt crocodile; the card says so in each language."""
    report = VocabularyReport((UnknownWord("dragon", ("crocodile",), spelt=False),), anything_known=True)
    assert (
        "“dragon” (the nearest that I know: crocodile)" in live_card(a_job(), place=1, workers=1, report=report).content
    )
    chinese = live_card(a_job(), place=1, workers=1, report=report, locale="zh-CN").content
    assert "最接近的是 crocodile" in chinese


def test_one_more_word_is_no_plural() -> None:
    """Six unknown words: five by name, and one more."""
    report = VocabularyReport(tuple(UnknownWord(f"word{k}", ()) for k in range(6)), anything_known=True)
    assert "1 more word," in live_card(a_job(), place=1, workers=1, report=report).content


def test_a_custom_emoji_is_shown_by_its_name() -> None:
    """Not with its number and escapes."""
    job = replace(a_job(), request=a_job().request.model_copy(update={"prompt": "a <:red_apple:123456789012345678>"}))
    assert r"a \:red\_apple\:" in live_card(job, place=1, workers=1).content
    assert "a :red_apple:" in alt_text(job.request)


def test_many_unknown_words_are_counted() -> None:
    """Five are named, the others counted."""
    report = VocabularyReport(tuple(UnknownWord(f"word{k}", ()) for k in range(8)), anything_known=True)
    assert "3 more words" in live_card(a_job(), place=1, workers=1, report=report).content


@pytest.mark.parametrize(
    ("typed", "seen"),
    [
        ("*bold* _it_ ~~no~~ `code`", r"\*bold\* \_it\_ \~\~no\~\~ \`code\`"),
        ("@everyone <@1> <#2>", r"\@everyone \<\@1\> \<\#2\>"),
        ("[here](https://example.com)", r"\[here\]\(https\://example.com\)"),
        ("two\nlines\tand  more", "two lines and more"),
        ("back\\slash", r"back\\slash"),
        ("evil\u202egnp", "evilgnp"),
        ("zero\u200bwidth", "zerowidth"),
        ("a 👩‍🚀", "a 👩‍🚀"),
    ],
)
def test_what_a_member_typed_stays_what_it_is(typed: str, seen: str) -> None:
    """No markdown, no mention, no link, no second line, no hidden direction; joined emoji survive."""
    assert shown(typed) == seen


def test_the_longest_message_is_within_discords_limit() -> None:
    """2,000 characters, with the longest prompt of nothing but markdown and the longest unknown words."""
    report = VocabularyReport(tuple(UnknownWord("*" * 500, ("_" * 500,)) for _ in range(100)), anything_known=True)
    job = a_job(JobState.RENDERED, prompt="*" * MAX_PROMPT, count=4)
    for card in (
        live_card(replace(job, state=JobState.QUEUED), place=10**6, workers=0, report=report),
        finished_card(job, report=report, sent_as="JPEG"),
        finished_card(replace(job, state=JobState.DEAD)),
    ):
        assert len(card.content) < 1900


def test_the_alt_text_is_the_whole_prompt_in_the_members_language() -> None:
    """A screen reader hears what was asked for, unescaped, within Discord's 1,024 characters."""
    request = image_request(prompt="a *red*\napple", seed=1, count=3)
    assert alt_text(request) == "Drawn from the words: a *red* apple"
    assert alt_text(request, "zh-CN", grid=True) == "并排的 3 张图，根据这些文字画的：a *red* apple"
    assert len(alt_text(image_request(prompt="x" * MAX_PROMPT, seed=1))) == 1022
    assert len(alt_text(image_request(prompt="x" * MAX_PROMPT, seed=1, count=4), grid=True)) == 1024


def test_buttons_say_what_they_mean_and_fit_into_a_message() -> None:
    """Five rows of five at most, every custom id once and within Discord's 100 characters."""
    job = "a" * 32
    panels = [more_rows(job, picture, theirs=all_, report=all_) for picture in (3, None) for all_ in (True, False)]
    for rows in (waiting_rows(job), grid_rows(job, 4), picture_rows(job, 3), *panels):
        assert len(rows) <= 5
        assert all(1 <= len(row) <= 5 for row in rows)
        ids = [key.custom_id for row in rows for key in row]
        assert len(set(ids)) == len(ids)
        for row in rows:
            for key in row:
                found = re.fullmatch(TEMPLATE, key.custom_id)
                assert found is not None
                assert len(key.custom_id) <= 100
                assert Key.of(found) == key
    below = (waiting_rows("a"), grid_rows("a", 4), picture_rows("a", 0), more_rows("a", 0, theirs=True, report=True))
    assert {key.action for rows in below for row in rows for key in row} == set(EMOJI)


def test_below_one_picture_stands_what_is_pressed_most() -> None:
    """The common six and the way to the rest, which has all others; a stranger's has what is for everybody."""
    common = [key.action for row in picture_rows("a", 0) for key in row]
    rest = [key.action for row in more_rows("a", 0, theirs=True, report=True) for key in row]
    assert len(common) == 7
    assert common[-1] == "more"
    assert set(common).isdisjoint(rest)
    assert set(common) | set(rest) == set(EMOJI) - {"cancel", "use", "vary"}
    assert [key.action for row in more_rows("a", 0, theirs=False, report=True) for key in row] == ["info", "report"]


def test_a_grid_is_two_in_a_row() -> None:
    """Each picture at its place; an odd one leaves its neighbour's place transparent."""
    files = [png(k, 64, 64) for k in (10, 20, 30)]
    whole = Image.open(io.BytesIO(grid(files)))
    assert whole.size == (132, 132)
    assert [whole.getpixel(place)[:3] for place in ((1, 1), (70, 1), (1, 70))] == [
        (10, 80, 120), (20, 80, 120), (30, 80, 120),
    ]  # fmt: skip
    assert whole.getpixel((70, 70))[3] == 0


def test_what_a_picture_says_about_itself_stays_with_it() -> None:
    """That a machine made it, and by which seed, in the grid and in every smaller file, as far as its kind can say."""
    notes = PngInfo()
    notes.add_itxt("Seed", "7")
    notes.add_itxt(XMP, "<x:xmpmeta>trainedAlgorithmicMedia</x:xmpmeta>")
    buffer = io.BytesIO()
    Image.new("RGB", (128, 128)).save(buffer, "PNG", pnginfo=notes)
    whole = grid([buffer.getvalue()] * 2)
    assert Image.open(io.BytesIO(whole)).text["Seed"] == "7, 7"
    for step in ladder((whole,)):
        assert all(b"trainedAlgorithmicMedia" in file for file in step.files), step.format


def test_a_preview_is_on_the_card() -> None:
    """As it came; the next card without news of it says so too."""
    job = a_job(JobState.RUNNING)
    with_preview = live_card(job, place=1, workers=1, progress=Progress(job.id, 4, 16, b"webp"))
    assert with_preview.preview == b"webp"
    assert with_preview != live_card(job, place=1, workers=1, progress=Progress(job.id, 4, 16))


def test_transparent_pictures_become_white_where_there_is_no_transparency() -> None:
    """Not black, as JPEG has it by itself."""
    buffer = io.BytesIO()
    Image.new("RGBA", (128, 128), (0, 0, 0, 0)).save(buffer, "PNG")
    steps = {step.format: step.files[0] for step in ladder((buffer.getvalue(),)) if step.files}
    assert Image.open(io.BytesIO(steps["JPEG"])).getpixel((5, 5)) == (255, 255, 255)
    assert Image.open(io.BytesIO(steps["WebP"])).convert("RGBA").getpixel((5, 5))[3] == 0


def test_files_are_named_by_their_seed() -> None:
    """The name alone tells how to get the picture again."""
    request = image_request(prompt="x", seed=MAX_SEED, count=2)
    assert [file_name(request, k, ".png") for k in range(2)] == [f"daguerre-{MAX_SEED}.png", "daguerre-0.png"]


def test_a_card_far_from_the_front_is_looked_at_less_often() -> None:
    """Thousands of waiting jobs must not ask for their place all the time; the first ones may."""
    assert live_card(a_job(), place=1, workers=1).lasts <= 0.1
    assert live_card(a_job(), place=100, workers=1).lasts == pytest.approx(10)
    assert live_card(a_job(), place=5000, workers=1).lasts == 60


def test_reporting_is_offered_where_there_are_moderators() -> None:
    """One press away below a picture, a grid and one of a grid: in servers, not in direct messages."""
    for job in (a_job(JobState.RENDERED), a_job(JobState.RENDERED, count=4)):
        for card in (finished_card(job), one_picture_card(job, 0)):
            (more,) = (key for row in card.rows for key in row if key.action == "more")
            for theirs, moderated in itertools.product((False, True), repeat=2):
                rows = more_rows(more.job, more.picture, theirs=theirs, report=moderated)
                assert any(key.action == "report" for row in rows for key in row) == moderated


def test_the_longest_card_of_moderators_fits_a_message() -> None:
    """Everything that can stand on it, each letter escaped."""
    job = a_job(JobState.RENDERED, prompt="*" * 500, negative="*" * 500)
    job = replace(
        job, member="9" * 20, metadata={"scores": [1.0]},
        reply=Address(1, 1, "t", 0.0, 1, 10**19, 10**19, message=10**19).reply(),
    )  # fmt: skip
    report = Report(10**9, "1", job.id, "report", "9" * 20, "*" * REASON, "banned", 0.0, 0.0)
    for locale in ("en-US", "zh-CN"):
        words = card_words(report, job, locale, parent="f" * 32, decided_by="9" * 20)
        assert words.count("\\*") >= REASON
        assert len(words) <= 2000
