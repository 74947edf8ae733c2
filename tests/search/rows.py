"""Pictures of the small indexes of tests: what is known of each follows from its number."""

from ernie_vil2.search.store.columns import ImageRow

COUNT, GONE = 60, (5, 6, 41)
"""How many there are in an index, and which of them were removed"""


def row_of(number, root, texts=()):
    """Picture `number`: every fifth has the tag 猫, every tenth is a frame of a video, the last ten have no date."""
    folder = "2021/上海" if number % 2 else "2022"
    key = f"{folder}/{number:02d}.jpg"
    return ImageRow(
        root=root,
        key=key,
        path=key.encode(),
        folder=folder,
        width=100 + number,
        height=100,
        size=1000 * number,
        date=1_600_000_000 + 86_400 * (number // 2) if number < COUNT - 10 else None,
        time=500 if number % 10 == 0 else None,
        caption=f"第 {number} 张",
        tags=("猫",) if number % 5 == 0 else (),
        texts=texts,
    )
