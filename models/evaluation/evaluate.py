"""`daguerre evaluate WEIGHTS`: every figure of a pipeline folder, measured one by one and written beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..common import digest
from ..layout import names_of_weights
from ..training.pictures import heldout_pictures
from . import optional, parts, sheets
from .features import imagenet_features
from .fidelity import codec_psnr, reconstruct
from .figures import blank, rounded
from .laid_out import laid_out
from .machine import machine
from .material import Material, Plan, subset
from .painter import open_pipeline, painter
from .report import markdown
from .suite import answer, figure, judge_pictures, score
from .sweep import best, plot, sweep
from .validate import shares_card

Report = Callable[[str], None]
#: Kind of the drawings that the recipes' scenes are made of; what the codec's figure is about.
DRAWN = ("emoji",)


def evaluate(weights: Path, material: Material, plan: Plan, out: Path, report: Report = print) -> dict[str, Any]:
    """Measure what can be measured; write `evaluation.json`, `EVALUATION.md` and its pictures into `out`.

    A part whose material is missing is null, and the report says why; weights, recogniser and suite are not optional.

    Raises:
        WeightsMissing, WeightsRefused: the weights cannot be opened.
    """
    found = blank()
    details: dict[str, Any] = found["details"]
    details |= {"missing": [], "intervals": {}, "seconds": {}, "quick": plan.quick, "machine": machine()}
    details |= {"weights": digest(weights), "sampling": asdict(plan.sampling)}
    details |= {"recogniser": material.card["digest"], "questions": material.question_digest()}
    details["asked"] = len(material.questions)
    files: list[str] = []

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        began = time.monotonic()
        report(f"{stage} …")
        yield
        details["seconds"][stage] = time.monotonic() - began

    def keep(name: str, sheet: Any) -> None:
        sheets.save_small(sheet, out / name)
        files.append(name)

    # The suite as it is served, as the denoiser does it alone, and the same questions about real pictures: what the
    # recogniser could see at best.
    parts.recogniser(found, material)
    names = names_of_weights(weights)
    details["layout"] = bool(names)
    with timed("suite"):
        pipeline = open_pipeline(weights)
        native = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
        alone = painter(pipeline, plan.sampling, batch=plan.batch, report=report)
        paint = laid_out(alone, names, native)
        answers = answer(material.questions, paint, material.recogniser, report)
        scores = score(answers)
        parts.suite(found, scores)
        for name in sorted({figure(each.asked.scene) for each in answers}):
            keep(f"evaluation-{name.replace('_', '-')}.webp", parts.sheet(answers, name))
    with timed("denoiser alone"):
        parts.alone(found, score(answer(material.questions, alone, material.recogniser, report)))
    with timed("real pictures"):
        real = material.compose([one.scene for one in material.questions])
        read = score(judge_pictures(material.questions, real, material.recogniser))
        details["composites"] = shares_card(read.figures)
        through = [reconstruct(pipeline.vae, picture[None])[0] for picture in real]
        read = score(judge_pictures(material.questions, through, material.recogniser))
        details["reconstructed"] = shares_card(read.figures)

    # Each of the other parts.
    with timed("codec"):
        rebuilt = codec_psnr(pipeline.vae, heldout_pictures(material.sprites.only(kinds=DRAWN)))
        parts.put(found, "codec_psnr_db", rebuilt.value, rebuilt.interval)
        details["codec_psnr_db_by_kind"] = {
            kind: codec_psnr(pipeline.vae, heldout_pictures(material.sprites.only(kinds=(kind,)))).value
            for kind in sorted({row["kind"] for row in material.sprites.rows})
        }
    with timed("KID"), parts.unless_missing(found, "kid"):
        parts.distances(found, answers, paint, material, plan, imagenet_features(material.cache))
    with timed("memorisation"):
        keep("evaluation-nearest.webp", parts.memorised(found, answers, material))
    with timed("upscaler"), parts.unless_missing(found, "upscaler_gain_db"):
        gain = optional.upscaler(weights / "upscaler", material.crisp, 16 if plan.quick else 64)
        parts.put(found, "upscaler_gain_db", gain.value, gain.interval)
    if plan.sweep:
        with timed("sweep"):
            asked = [one for one in subset(material.questions, plan.sweep) if one.seen]
            points = sweep(
                asked,
                lambda sampling: laid_out(painter(pipeline, sampling, batch=plan.batch), names, native),
                material.recogniser,
                steps=plan.sweep_steps,
                guidance=plan.sweep_guidance,
                report=report,
            )
            details["sweep"] = [
                {**asdict(point.sampling), "suite": point.scores.suite, "interval": point.scores.suite_interval}
                for point in points
            ]
            details["best_sampling"] = asdict(best(points))
            plot(points, out / "evaluation-sweep.png")
            files.append("evaluation-sweep.png")
    # Last, as it changes the pipeline.
    with timed("student"), parts.unless_missing(found, "student_over_teacher"):
        fast = painter(*optional.student(pipeline, weights / "student"), batch=plan.batch, report=report)
        fast = laid_out(fast, names, native)
        parts.student(found, scores, score(answer(material.questions, fast, material.recogniser)))

    # Write.
    result: dict[str, Any] = rounded(found)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (out / "evaluation.json").write_text(text, encoding="utf-8")
    (out / "EVALUATION.md").write_text(markdown(weights.name, result, files), encoding="utf-8")
    return result
