"""Side by side with peers: the same data, the same cores, the same kind of output; ratios are printed."""
