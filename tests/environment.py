"""The environment of the tests, set before Django reads its settings (a pytest plugin)."""

import os
import tempfile

os.environ.setdefault("SWITCHGEAR_SECRET_KEY", "a key for the tests only, fifty characters or more")
os.environ.setdefault("SWITCHGEAR_STATIC_ROOT", tempfile.mkdtemp(prefix="switchgear-static-"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
