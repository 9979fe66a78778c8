"""What is written about an item. Light on purpose: no torch, no NumPy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ItemText:
    """The text of one item; an item that nothing is known about has all fields empty.

    ``categories`` is one path from the general to the particular, ``price`` in the data set's own
    currency, None where it is not known.
    """

    title: str = ""
    brand: str = ""
    categories: tuple[str, ...] = ()
    description: str = ""
    price: float | None = None

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return self != NOTHING

    def words(self) -> str:
        """Title, brand, categories and description as one text; the price is no word."""
        return ". ".join(
            part for part in (self.title, self.brand, *self.categories, self.description) if part
        )


NOTHING = ItemText()
