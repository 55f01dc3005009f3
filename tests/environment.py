"""The environment of the tests, set before Django reads its settings (a pytest plugin)."""

import atexit
import os
import shutil
import tempfile

from hypothesis import settings

_static = tempfile.mkdtemp(prefix="switchgear-static-")
atexit.register(shutil.rmtree, _static, ignore_errors=True)
os.environ.setdefault("SWITCHGEAR_SECRET_KEY", "a key for the tests only, fifty characters or more")
# Each test process collects its own: a directory shared with another could be half complete.
os.environ["SWITCHGEAR_STATIC_ROOT"] = _static
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
# No test is timed, so that a busy machine causes no failures.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
