"""An identification study: which reading of TRU (arXiv 2604.02183 v1) can its printed numbers come from?"""
