"""The learners that compare what they embed: no gradient step is made on a task."""
