"""Measure how far back a sequence model can remember, set that memory up, and train models that keep it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
