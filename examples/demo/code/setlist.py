"""Chooses pieces for a concert so that it lasts as long as it should."""

from functools import lru_cache


def choose(pieces, seconds):
    """The pieces that fill `seconds` best without going over.

    `pieces` is a list of (title, length in seconds, stars from 1 to 5). Among choices that fit, the one with the most
    stars wins; among equals the longer one.
    """

    @lru_cache(maxsize=None)
    def best(index, left):
        if index == len(pieces):
            return (0, 0, ())
        skip = best(index + 1, left)
        title, length, stars = pieces[index]
        if length > left:
            return skip
        rest_stars, rest_length, rest = best(index + 1, left - length)
        take = (stars + rest_stars, length + rest_length, (title, *rest))
        return max(skip, take, key=lambda choice: choice[:2])

    return list(best(0, seconds)[2])


if __name__ == "__main__":
    programme = [
        ("Sea shanty I", 150, 3),
        ("Sea shanty II", 170, 4),
        ("Nordic evening song", 240, 5),
        ("Tide Table", 250, 4),
        ("Linden Lea", 160, 5),
        ("Round with the audience", 300, 2),
    ]
    for title in choose(programme, 15 * 60):
        print(title)
