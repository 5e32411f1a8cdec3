"""What holds for all tests."""

import os

from hypothesis import settings

from tests.kept import keep_manifests

keep_manifests()
# The same examples everywhere, so that a run says something about the change and not about luck; whoever looks
# for new ones sets HYPOTHESIS_PROFILE=explore. No example has to be done in a given time: machines differ.
settings.register_profile("steady", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
