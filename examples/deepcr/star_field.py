"""A made-up exposure to run deepCR on: stars, sky and noise, crossed by cosmic rays whose pixels are known."""

import numpy as np

SKY = 60.0  # electrons a pixel
READ_NOISE = 4.5  # electrons
STAR_SIGMA = 0.9  # pixels; close to the sharpness of Hubble's camera ACS/WFC


def star_field(size: int = 192, stars: int = 80, rays: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image (size, size) in electrons, and which of its pixels a cosmic ray hit."""
    rng = np.random.default_rng(seed)
    light = np.full((size, size), SKY)
    for _ in range(stars):
        _add_star(light, rng)
    hits = np.zeros((size, size))
    for _ in range(rays):
        _add_ray(hits, rng)
    # The rays strike the detector itself: no telescope blurs them, which is how the network tells them from stars.
    image = rng.poisson(light) + hits + rng.normal(0.0, READ_NOISE, light.shape)
    return image.astype(np.float32), hits > 5 * READ_NOISE


def _add_star(light: np.ndarray, rng: np.random.Generator) -> None:
    row, column = rng.uniform(0, len(light), 2)
    electrons = min(300 * (1 + rng.pareto(0.8)), 2e5)  # many faint stars, a few bright ones
    rows, columns = np.indices(light.shape)
    squared_distance = (rows - row) ** 2 + (columns - column) ** 2
    light += electrons / (2 * np.pi * STAR_SIGMA**2) * np.exp(-squared_distance / (2 * STAR_SIGMA**2))


def _add_ray(hits: np.ndarray, rng: np.random.Generator) -> None:
    row, column = rng.uniform(0, len(hits), 2)
    angle = rng.uniform(0, np.pi)
    length = 1 + rng.exponential(8)
    electrons = length * rng.lognormal(6.3, 0.6)
    # A straight track: its charge is dropped in small steps, each shared between the two nearest rows.
    distances = np.linspace(0, length, int(10 * length))
    rows, columns = row + distances * np.sin(angle), column + distances * np.cos(angle)
    inside = (rows < len(hits) - 1) & (columns >= 0) & (columns < len(hits))
    upper, column_index, lower_share = rows[inside].astype(int), columns[inside].astype(int), rows[inside] % 1
    np.add.at(hits, (upper, column_index), electrons / len(distances) * (1 - lower_share))
    np.add.at(hits, (upper + 1, column_index), electrons / len(distances) * lower_share)
