# Two images: `serve` (the default; no torch, no pip) and `train` (with torch).
#   docker build -t tagbelt .
#   docker build -t tagbelt-train --target train .

FROM python:3.11-slim AS base
# ONNX Runtime's own builds report their use to their maker unless they are told not to.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1
RUN groupadd --gid 10001 tagbelt && useradd --uid 10001 --gid 10001 --no-create-home tagbelt


# The venv has no pip of its own: the build's pip installs into it, and stays behind.
FROM base AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv --without-pip /opt/venv
COPY pyproject.toml constraints.txt deploy/requirements.py ./
# pip compiles what it installs, so that a start on a read-only file system has nothing to compile.
RUN python requirements.py > requirements.txt \
    && python -m pip --python /opt/venv/bin/python install -r requirements.txt -c constraints.txt


# A compiler for the kernels of inference/native; it stays behind as well.
FROM dependencies AS package
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN python -m pip --python /opt/venv/bin/python install --no-deps --target /opt/tagbelt .
# Whatever the umask of the checkout was, the user of the image must be able to read them.
RUN chmod -R a+rX checkpoints configs


FROM dependencies AS train-dependencies
ARG EXTRAS="train glove"
COPY deploy/wheels /build/wheels
RUN python requirements.py $EXTRAS > requirements.txt \
    && python -m pip --python /opt/venv/bin/python install --find-links wheels \
        -r requirements.txt -c constraints.txt


FROM base AS train
COPY --from=train-dependencies /opt/venv /opt/venv
COPY --from=package /opt/tagbelt /opt/tagbelt
WORKDIR /app
COPY --from=package /build/configs configs
ENV PATH=/opt/tagbelt/bin:/opt/venv/bin:$PATH PYTHONPATH=/opt/tagbelt HOME=/tmp
USER 10001:10001
ENTRYPOINT ["tagbelt"]
CMD ["train", "--help"]


FROM base AS serve
# What the base image brings to install with: a running server installs nothing.
RUN python -m pip uninstall --yes --break-system-packages --root-user-action ignore \
    pip setuptools wheel
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY deploy/healthcheck.py ./
COPY --from=package /build/checkpoints checkpoints
COPY --from=package /opt/tagbelt /opt/tagbelt
# A volume that is mounted here belongs to the user as well.
RUN install -d -o 10001 -g 10001 state
ENV PATH=/opt/tagbelt/bin:/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/tagbelt \
    TAGBELT_HOST=0.0.0.0 \
    TAGBELT_PORT=8000
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=10s --start-period=20s --retries=3 \
    CMD ["python", "-I", "healthcheck.py"]
ENTRYPOINT ["tagbelt"]
CMD ["serve", "checkpoints"]
