"""From MLflow runs to what people read: frames and tables."""

import bench  # noqa: F401  (puts the checkout on the path before anything else of it is imported)
