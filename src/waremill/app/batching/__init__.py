"""Use cases of runs that go through vendors' batch endpoints: may it, open it, stop it, show it."""
