# syntax=docker/dockerfile:1
# The service as an image: docs/container.md says how to run it, and what of it could be tried.

FROM python:3.13-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/poolwright
# First what changes rarely: the locked dependencies, by hash.
COPY requirements/runtime.lock requirements/runtime.lock
RUN /opt/poolwright/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/poolwright/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /home/poolwright poolwright \
    && install --directory --owner poolwright --group poolwright --mode 0700 /data
COPY --from=build /opt/poolwright /opt/poolwright
ENV PATH=/opt/poolwright/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    POOLWRIGHT_HOST=0.0.0.0 \
    POOLWRIGHT_PORT=8445 \
    POOLWRIGHT_DATA_DIR=/data \
    POOLWRIGHT_LOG_FORMAT=json
USER poolwright
VOLUME /data
EXPOSE 8445
# Healthy is when it answers by its own certificate: before that, a seed is still coming about.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as web; web.urlopen('https://localhost:' + os.environ['POOLWRIGHT_PORT'] + '/healthz', timeout=4, context=ssl.create_default_context(cafile=os.environ['POOLWRIGHT_DATA_DIR'] + '/tls/ca.pem'))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["poolwright"]
CMD ["up"]
