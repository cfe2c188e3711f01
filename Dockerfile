# The scaler, its controller and the local stack's exporters: one image, chosen by the command.
#
#   docker build -t kvtide .
#   docker run --read-only --cap-drop ALL -p 6000:6000 -p 8080:8080 kvtide serve
#
# Nothing is written at run time, so a read-only root file system needs no volume.
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/kvtide
WORKDIR /src
COPY requirements/run.txt requirements/tools.txt requirements/
# Locked dependencies first: this layer stays until they change.
RUN /opt/kvtide/bin/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: -r requirements/run.txt
RUN python -m venv /opt/tools \
 && /opt/tools/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements/tools.txt
COPY pyproject.toml README.md LICENSE ./
COPY scaler scaler
RUN /opt/tools/bin/python -m hatchling build -t wheel \
 && /opt/kvtide/bin/python -m pip install --quiet --no-deps dist/kvtide-*.whl \
 && /opt/kvtide/bin/python -m pip uninstall --quiet --yes pip

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="kvtide" \
      org.opencontainers.image.description="KEDA external scaler for LLM inference that lends idle GPUs to training" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/kvtide /opt/kvtide
ENV PATH=/opt/kvtide/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
# gRPC for KEDA; HTTP for people, probes and Prometheus.
EXPOSE 6000 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["kvtide"]
CMD ["serve"]
