"""Networks that are no chain of dense layers: their equations, and their losses in other libraries."""

from benchmarks.zoo import images, sequences, vectors

TASKS = {task.name: task for task in (*sequences.TASKS, *images.TASKS, *vectors.TASKS)}
"""The networks by name."""
