"""The numerical core: thresholding, sparse weights, gates, sensing operators and step sizes."""
