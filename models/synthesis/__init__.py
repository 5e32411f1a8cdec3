"""From edges to policies: which edge becomes which rule, and which becomes none, and why."""
