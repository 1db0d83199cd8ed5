# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip /opt/venv/bin/pip install --quiet --no-deps --no-compile -r requirements.txt
COPY manage.py ./
COPY config config/
COPY users users/
COPY tasks tasks/
COPY docs/openapi.md docs/
COPY deploy/healthcheck.py deploy/
# The file system is read-only where it runs: nothing could be compiled there.
RUN /opt/venv/bin/python -m compileall -q -j 0 /app /opt/venv

FROM python:3.11-slim-bookworm
# A new volume at /backups gets the owner of the folder.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tickbase \
    && useradd --system --uid 10002 --no-create-home --shell /usr/sbin/nologin tickbase-backup \
    && install --directory --mode=700 --owner=tickbase-backup /backups
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 ENVIRONMENT=production HOST=0.0.0.0 PORT=8000
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "deploy/healthcheck.py"]
CMD ["python", "manage.py", "serve"]
