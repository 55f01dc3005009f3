#!/bin/sh
# The balancer of the Procfile: haproxy where it is installed, else the one in Python.
if command -v haproxy >/dev/null && [ -z "${BALANCER_IN_PYTHON:-}" ]; then
  exec haproxy -db -q -f deploy/haproxy.local.cfg
fi
exec python -m examples.production.balancer --port "$BALANCER_PORT" \
  "127.0.0.1:$WEB1_PORT" "127.0.0.1:$WEB2_PORT"
