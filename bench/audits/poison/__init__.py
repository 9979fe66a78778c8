"""Is what injected users planted still at work?"""
