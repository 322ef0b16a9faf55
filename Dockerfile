# Two images from one file:
#   docker build -t daguerre .                            bot, queue, API and rendering; for one machine
#   docker build -t daguerre-control --target control .   the same without torch; workers dial in from elsewhere
#
# Run:  docker run -d --name daguerre -e DISCORD_TOKEN -v daguerre:/data -p 127.0.0.1:8600:8600 daguerre
#       with an NVIDIA GPU add --gpus all. Nothing but /data (and a tmpfs on /tmp) needs to be writable:
#       --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges
#
# Packages are installed by the hashes in locks/, from the index that the builder's pip uses. torch is the build that this
# index has: the public one has CUDA's; where there is one for processors, that (--build-arg LOCK=cuda or LOCK=cpu says which).
# To build on a base that cannot change under its name, give it by its digest:
#   docker build --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:… -t daguerre .

ARG BASE_IMAGE=python:3.11-slim-bookworm

# --- what the control process installs: dependencies before source, so that an edit does not install again
FROM ${BASE_IMAGE} AS control-packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/daguerre
RUN python -m venv .venv
COPY requirements.lock ./
COPY locks locks
# By their hashes: what an index or a mirror gives out otherwise is refused.
RUN .venv/bin/pip install --require-hashes --no-deps -r locks/control.txt
COPY pyproject.toml README.md LICENSE ./
# The editable install only maps names to folders; they are filled by COPY in the last stages.
RUN .venv/bin/python -c "import pathlib, tomllib; \
      mapping = tomllib.loads(pathlib.Path('pyproject.toml').read_text())['tool']['setuptools']['package-dir']; \
      [pathlib.Path(folder).mkdir(parents=True, exist_ok=True) for folder in mapping.values()]" \
    && .venv/bin/pip install --no-deps --no-build-isolation -e .

# --- and what rendering needs on top
FROM control-packages AS worker-packages
# cuda or cpu: which of the locks; auto: the one of the torch that pip would take.
ARG LOCK=auto
RUN lock=$LOCK; if [ "$lock" = auto ]; then lock=cuda; \
      .venv/bin/pip install --dry-run --quiet --no-deps --report /tmp/torch.json -c requirements.lock torch; \
      if grep -q '+cpu' /tmp/torch.json; then lock=cpu; fi; rm /tmp/torch.json; fi; \
    echo "packages of locks/$lock.txt"; .venv/bin/pip install --require-hashes --no-deps -r "locks/$lock.txt"

# --- common to both images
FROM ${BASE_IMAGE} AS runtime
# A C++ compiler for `[render] compile`, for those who want it: docker build --build-arg COMPILER=g++ -t daguerre .
ARG COMPILER=""
RUN if [ -n "$COMPILER" ]; then \
      apt-get update && apt-get install -y --no-install-recommends $COMPILER && rm -rf /var/lib/apt/lists/*; fi
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin daguerre \
    && install -d -o 10001 -g 10001 /data
# In a container the published port reaches all interfaces; beyond /healthz the API still answers loopback only.
ENV PATH=/opt/daguerre/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    DAGUERRE_STORAGE__DATA_DIR=/data DAGUERRE_WEB__HOST=0.0.0.0 DAGUERRE_LOG__FORMAT=auto
WORKDIR /opt/daguerre
VOLUME /data
EXPOSE 8600
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "daguerre.app.healthcheck"]
ENTRYPOINT ["daguerre"]
CMD ["serve"]

# --- bot, queue and API; no torch
FROM runtime AS control
COPY --from=control-packages /opt/daguerre /opt/daguerre
COPY . .
RUN ["python", "-m", "compileall", "-q", "app", "bot", "models", "queue", "web"]
USER 10001:10001
ENV DAGUERRE_RENDER__DEVICES=[]

# --- the whole thing; `docker run … daguerre worker --nats nats://host:4222` makes a worker alone
FROM runtime AS worker
COPY --from=worker-packages /opt/daguerre /opt/daguerre
COPY . .
RUN ["python", "-m", "compileall", "-q", "app", "bot", "models", "queue", "web"]
USER 10001:10001
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
