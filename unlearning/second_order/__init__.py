"""The second-order kit of the influence methods: fixed triples, curvature products, solvers, the step."""

__all__ = ["method", "reach"]
