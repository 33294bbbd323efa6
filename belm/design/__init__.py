"""Designing samplers: method and grid together, judged by what is certified first and by mixtures with known answers.

    problems     the training family: Gaussian mixtures, some under guidance, with reference solutions
    candidate    a point of the search space: a method, a frame and a grid, for every number of steps
    measure      errors of a sampler on problems, both ways; what is exact about it on Gaussian data
    search       the search: certified quantities rank and filter, training mixtures decide
    pareto       the picture of generation error, seed error and amplification

Nothing here may import the embedded model or the held-out mixtures: they judge the outcome (benchmarks/design.py).
"""
