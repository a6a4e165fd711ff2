"""mlpiht: recover sparse ReLU networks by iterative hard thresholding."""

__version__ = "0.2.0.dev0"
