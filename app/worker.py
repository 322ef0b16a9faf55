"""The worker process: NATS on one side, the engine on the other. It knows neither Discord nor the job table.

The only process that imports torch, and only in the engine's thread, so that signals are heard meanwhile. It takes
jobs once the weights are loaded; until then they wait in the table and lose no attempt.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models.errors import EngineError
from ..queue.errors import BrokerUnavailable, QueueUnavailable
from ..queue.nats import Credentials
from ..queue.observe import Spans, WorkerMeters
from ..queue.worker import Loaded, Worker, WorkerSettings
from .engine_thread import EngineThread
from .errors import WorkerError
from .finishing import Finisher, make_finisher
from .packages import import_behind, of_import, silence
from .render import EngineLike, RackLike, is_rack, make_handler, usual_for
from .settings import Configuration
from .signals import ORPHAN_SECONDS, stop_on_signals, stop_with_parent
from .tracing import open_spans
from .worker_api import operator_api
from .worker_figures import EngineFigures

if TYPE_CHECKING:
    from ..models.serving.engine import Engine

log = logging.getLogger(__name__)


def check_weights(weights: Path) -> None:
    """Find out in a millisecond what loading would find out after importing torch.

    Raises:
        WorkerError: there is no pipeline in the folder.
    """
    if not (weights / "model_index.json").is_file() and not (weights.is_file() and weights.suffix == ".safetensors"):
        raise WorkerError(
            f"no weights in {weights} (model_index.json is missing). The shipped ones lie in "
            "models/weights/first-light of the repository: get a complete clone (`git checkout -- models/weights` "
            "brings deleted ones back), or name another diffusers folder, or one .safetensors file, with [render] "
            "weights in config.toml. "
            "Until then jobs wait; none is lost."
        )
    # What its own files tell against it, without torch.
    from ..models.serving import check_told

    try:
        check_told(weights)
    except EngineError as error:
        raise WorkerError(str(error)) from None


def load_engine(
    configuration: Configuration, device: str, *, model: str = "", precision: str = "", compiled: bool | None = None
) -> EngineLike:
    """Blocking, slow: import torch and read the weights of one model; the first if none is named.

    `precision` and `compiled`: other than the settings say.

    Raises:
        WorkerError: the weights or the device cannot be used; says what to do.
        PackagesMissing: names the package and what brings it.
    """
    name = model or next(iter(configuration.models))
    engine = _make_engine(configuration, device, name, precision, compiled)
    try:
        engine.load()
    except EngineError as error:
        raise WorkerError(str(error)) from None
    return engine


def load_rack(configuration: Configuration, device: str) -> RackLike:
    """Blocking, slow: every model of the settings, the first one loaded; others that cannot be used are left out.

    Raises:
        WorkerError, PackagesMissing: as `load_engine`.
    """
    engines = {name: _make_engine(configuration, device, name) for name in configuration.models}
    from ..models.serving.rack import Rack

    rack = Rack(engines, budget=round(configuration.settings.render.keep_gigabytes * 1e9))
    try:
        rack.load()
    except EngineError as error:
        raise WorkerError(str(error)) from None
    return rack


def _make_engine(
    configuration: Configuration, device: str, name: str, precision: str = "", compiled: bool | None = None
) -> Engine:
    """An engine that has loaded nothing yet."""
    silence()
    try:
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        from ..models.serving.engine import Engine
    except (ImportError, RuntimeError) as error:
        if (failed := import_behind(error)) is None:
            raise
        raise of_import(failed) from None
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    try:
        render = configuration.settings.render
        render_compiled = render.compile if compiled is None else compiled
        return Engine(
            configuration.models[name],
            name=name,
            device=device,
            threads=render.threads or None,
            adapters=configuration.folder / Path(render.adapters).expanduser() if render.adapters else None,
            triggers=render.words_of_adapters,
            embeddings=configuration.folder / Path(render.embeddings).expanduser() if render.embeddings else None,
            controls=configuration.folder / Path(render.controlnets).expanduser() if render.controlnets else None,
            profile=configuration.data_dir / "paces.json",
            exact=render.exact,
            precision=precision or render.precision,
            layout=render.layout,
            programs=configuration.data_dir / "programs" if render_compiled else None,
            own_bank=configuration.data_dir / "bank",
            sampler=render.sampler,
            dtype=render.dtype,
            megapixels=render.megapixels,
            memory=render.memory,
            quantize=render.quantize,
        )
    except EngineError as error:
        raise WorkerError(str(error)) from None


def load_finisher(configuration: Configuration, *, judged: bool = True) -> Finisher:
    """Blocking: what looks at pictures, marks and signs them; without `judged` it only marks and signs.

    Raises:
        WorkerError: a part of it cannot be used; says what to do.
    """
    options = configuration.settings.moderation
    try:
        return make_finisher(
            options if judged else options.model_copy(update={"output_check": "off"}), configuration.data_dir
        )
    except EngineError as error:
        if isinstance(error.__cause__, ImportError):
            raise of_import(error.__cause__) from None
        raise WorkerError(str(error)) from None


async def run_worker(configuration: Configuration, *, nats_url: str, device: str, with_parent: bool) -> None:
    """Work until told to stop, then finish what runs within `[render] drain_seconds` and hand back the rest."""
    stop = stop_on_signals()
    found = _Found()
    if with_parent:
        stop_with_parent(stop, found.hurry)
    for weights in configuration.models.values():
        check_weights(weights)
    meters, spans = WorkerMeters(), open_spans(configuration.settings.log.traces, f"worker {device}")
    meters.registry.register(EngineFigures(lambda: found.engine))
    async with operator_api(configuration.settings.web, meters.registry, found.lacking):
        await _work(configuration, nats_url, device, stop, found, meters, spans)
    await asyncio.to_thread(spans.close)
    log.info("worker stopped")
    leave_now()


class _Found:
    """How far the start has come."""

    engine: EngineLike | None = None
    worker: Worker | None = None

    def hurry(self) -> None:
        """The parent is gone, and soon we are (signals.py): hand jobs back in time."""
        if self.worker is not None:
            self.worker.hurry(ORPHAN_SECONDS / 2)

    def lacking(self) -> str | None:
        """Why nothing can be drawn now."""
        if self.worker is None:
            return "the weights are being loaded"
        return None if self.worker.connected else "nats-server is not connected"


async def _work(
    configuration: Configuration, nats_url: str, device: str, stop: asyncio.Event, found: _Found,
    meters: WorkerMeters, spans: Spans,
) -> None:  # fmt: skip
    render = configuration.settings.render
    begun = time.monotonic()
    thread = EngineThread()
    load = load_rack if len(configuration.models) > 1 else load_engine
    loading: asyncio.Future[EngineLike] = asyncio.ensure_future(thread.call(lambda: load(configuration, device)))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not loading.done():
        log.info("worker stopped while loading")
        leave_now()
    stopping.cancel()
    engine = found.engine = loading.result()
    about = engine.describe()
    log.info(
        "weights loaded model=%s device=%s seconds=%.1f", about["model"], about["device"], time.monotonic() - begun
    )
    finisher = await thread.call(lambda: load_finisher(configuration))
    # From here on that thread draws, until the process ends.
    drawing = asyncio.ensure_future(thread.call(engine.run))
    drawing.add_done_callback(lambda _: stop.set())
    worker = found.worker = Worker(
        make_handler(engine, finisher, seconds=render.longest_seconds, spans=spans),
        WorkerSettings(
            nats_url=nats_url,
            credentials=worker_credentials(configuration),
            name=f"{socket.gethostname()}-{about['device']}",
            device=str(about["device"]),
            pool=render.pool,
            side=render.largest_side,
            adapters=engine.offers.adapters,
            triggers=engine.offers.triggers,
            embeddings=engine.offers.embeddings,
            controls=engine.offers.controls,
            drain_seconds=render.drain_seconds,
            **what_it_draws(engine, render.slots),
            version=installed_version("daguerre"),
            meters=meters,
            spans=spans,
        ),
    )
    if is_rack(engine):
        loop = asyncio.get_running_loop()
        engine.on_change = lambda: loop.call_soon_threadsafe(worker.tell)
    try:
        await worker.run(stop, ready_logger(about["device"]))
    except BrokerUnavailable as error:
        raise WorkerError(
            f"{error} (address {nats_url}; the token is the environment variable DAGUERRE_NATS_TOKEN)"
        ) from None


def what_it_draws(engine: EngineLike, slots: int) -> dict[str, Any]:
    """The settings of a worker that say what it has loaded; `slots`: jobs at a time, 0: as many as are worth it."""
    if not is_rack(engine):
        model = str(engine.describe()["model"])
        return {
            "models": (model,),
            "slots": slots or engine.slots,
            "usual": {model: usual_for(engine)},
            "digests": {model: str(engine.describe()["model_digest"])},
            "image_prompts": (model,) if engine.image_prompts else (),
        }
    rack = engine

    def loaded() -> Loaded:
        return Loaded(rack.active, slots or rack.slots, rack.models, rack.seconds)

    return {
        "models": rack.models,
        "slots": slots or rack.most_slots,
        "usual": {name: usual_for(rack.engine(name)) for name in rack.models},
        "digests": {name: str(rack.engine(name).describe()["model_digest"]) for name in rack.models},
        "image_prompts": tuple(name for name in rack.models if rack.engine(name).image_prompts),
        "loaded": loaded,
    }


def worker_credentials(configuration: Configuration) -> Credentials:
    """How a worker gets into nats-server.

    Raises:
        WorkerError: a file of [queue] is not there or cannot be used.
    """
    queue, token = configuration.settings.queue, configuration.secrets.nats_token
    credentials = Credentials(
        token=token.get_secret_value() if token else "",
        creds_file=queue.nats_creds_file,
        ca_file=queue.nats_ca_file,
        # Beside an own nats-server these are that server's.
        cert_file=queue.nats_cert_file if queue.nats_url else "",
        key_file=queue.nats_key_file if queue.nats_url else "",
    )
    try:
        credentials.check()
    except QueueUnavailable as error:
        raise WorkerError(str(error)) from None
    return credentials


def ready_logger(device: object) -> Callable[[], None]:
    return lambda: log.info("worker ready device=%s", device)


def leave_now() -> None:
    """End this process without waiting for the engine's thread, which may sit in torch for seconds yet.

    Ending the interpreter under it would crash inside torch; everything that matters has been sent by now.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
