# The service with exactly the versions that requirements.txt names.
#
#   docker build -t quotepart .
#   docker run --rm -v quotepart:/data quotepart migrate     # the schema: a command of its own, on purpose
#   docker run -v quotepart:/data -p 127.0.0.1:8000:8000 quotepart
#
# docs/how-to/deploy.md says more; deploy/check-image.sh builds this file and runs what comes out.

FROM python:3.12-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
# The service's environment holds no pip: nothing but what requirements.txt names, and the service itself.
RUN python -m venv /opt/build && python -m venv --without-pip /opt/quotepart

# What changes seldom comes first: these layers are kept until a version changes.
COPY requirements.txt requirements-dev.txt ./
RUN /opt/build/bin/pip --python /opt/quotepart/bin/python install --require-hashes --requirement requirements.txt
# What builds the package is pinned with what develops it, and stays out of the image.
RUN sed -n '/^setuptools==/,/[^\\]$/p' requirements-dev.txt > build.txt \
    && /opt/build/bin/pip install --require-hashes --requirement build.txt

COPY pyproject.toml README.md ./
COPY alembic ./alembic
COPY app ./app
COPY quotepart ./quotepart
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/build/bin/pip --python /opt/quotepart/bin/python install --no-deps --no-index /wheels/*.whl


FROM python:3.12-slim

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin quotepart \
    && install --directory --owner=10001 --group=10001 /data
COPY --from=build /opt/quotepart /opt/quotepart

ENV PATH=/opt/quotepart/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    QUOTEPART_DATABASE_URL=sqlite:////data/quotepart.db
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

ENTRYPOINT ["quotepart"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
