"""Designing samplers: method and grid together, judged by what is certified first and by mixtures with known answers.

    problems     the training family: Gaussian mixtures, some under guidance, with reference solutions
    space        the cells of choices that are searched, and the designs at their points
    measure      errors of a sampler on problems, both ways; what is exact about it on Gaussian data
    judge        scores relative to O-BELM on the pipeline's usual grid
    search       the search: certified quantities rank and filter, training mixtures decide
    tables       what a search found as data, and the best of each kind
    written      a catalogue entry, its derivation page and its certificate
    judged       what is wanted of a design, from the rows of its judgement by others
    pareto       the picture of generation error, seed error and amplification

Nothing here may import the embedded model or the held-out mixtures: they judge the outcome (benchmarks/design.py).
"""
