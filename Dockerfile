# One image for every role of the dashboard and for the example shop; the command chooses the role.
FROM python:3.11-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY requirements/requirements.lock requirements/
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements/requirements.lock

FROM base AS compiled
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev
COPY setup.py pyproject.toml README.md ./
COPY breakers breakers
COPY dashboard/bus dashboard/bus
RUN python setup.py build_ext --inplace

FROM base
COPY manage.py pyproject.toml ./
COPY breakers breakers
COPY dashboard dashboard
COPY --from=compiled /app/breakers/circuit/_admission.*.so breakers/circuit/
COPY --from=compiled /app/dashboard/bus/_sketches.*.so dashboard/bus/
COPY examples examples
COPY static static
COPY templates templates
RUN SWITCHGEAR_SECRET_KEY=only-for-the-build python manage.py collectstatic --noinput \
    && useradd --system --home-dir /app switchgear \
    && mkdir -p /var/lib/switchgear && chown switchgear /var/lib/switchgear
USER switchgear
EXPOSE 8000
CMD ["python", "manage.py", "web", "--host", "0.0.0.0", "--port", "8000"]
