# Convoke on one machine, in a container: docker build -t convoke . && docker run -p 8000:8000 -v convoke:/data convoke
# To use a mirror, pass --build-arg PYTHON=registry.example.com/python:3.13-slim.
ARG PYTHON=docker.io/library/python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /build
COPY .ci/tools/uv.txt .ci/tools/uv.txt
RUN python -m pip install --no-cache-dir --no-compile --require-hashes --requirement .ci/tools/uv.txt
COPY pyproject.toml uv.lock ./
COPY layers/convoke/pyproject.toml layers/convoke/
COPY layers/convoke/src layers/convoke/src
ENV UV_PROJECT_ENVIRONMENT=/opt/convoke UV_PYTHON_DOWNLOADS=never
RUN uv sync --locked --no-default-groups --no-editable --no-cache --package convoke-conversations --extra docs

FROM ${PYTHON}
COPY --from=build /opt/convoke /opt/convoke
RUN install -d -o 10001 -m 700 /data
ENV PATH=/opt/convoke/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["convoke"]
CMD ["up", "--host", "0.0.0.0", "--data", "/data/convoke.db"]
