"""What holds for every test."""

from hypothesis import settings

# A time is asserted nowhere: not that of one example either.
settings.register_profile("kensho", deadline=None)
settings.load_profile("kensho")
