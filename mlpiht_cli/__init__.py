"""mlpiht: recover sparse ReLU networks by iterative hard thresholding."""

__version__ = "0.1.0"
