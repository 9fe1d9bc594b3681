"""Free appointments of the workshop.

Bookings lie in a CSV file with the columns day, start, minutes and name, such as `2026-05-16,10:30,45,Bloom`.
"""

import csv
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

# Opening hours by day of the week, Monday is 0. None is closed.
OPEN = {
    0: None,
    1: (time(9), time(18)),
    2: (time(9), time(18)),
    3: (time(9), time(18)),
    4: (time(9), time(18)),
    5: (time(10), time(14)),
    6: None,
}
STEP = timedelta(minutes=15)


@dataclass(frozen=True)
class Booking:
    start: datetime
    end: datetime
    name: str


def read_bookings(path):
    """Reads all bookings, in the order of the file."""
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            start = datetime.fromisoformat(f"{row['day']} {row['start']}")
            yield Booking(start, start + timedelta(minutes=int(row["minutes"])), row["name"])


def overlaps(start, end, booking):
    """Whether a stretch of time touches a booking. One that ends when the other starts does not."""
    return start < booking.end and booking.start < end


def free_slots(day: date, minutes: int, bookings):
    """Yields each time of `day` at which a job of `minutes` fits between the bookings."""
    hours = OPEN[day.weekday()]
    if hours is None:
        return
    opening, closing = (datetime.combine(day, hour) for hour in hours)
    taken = [booking for booking in bookings if booking.start.date() == day]
    length = timedelta(minutes=minutes)
    start = opening
    while start + length <= closing:
        clash = next((b for b in taken if overlaps(start, start + length, b)), None)
        if clash is None:
            yield start
            start += STEP
        else:
            # Nothing can begin before the clashing booking is over.
            start = max(clash.end, start + STEP)


if __name__ == "__main__":
    import sys

    wanted = date.fromisoformat(sys.argv[1])
    for slot in free_slots(wanted, 30, list(read_bookings("bookings.csv"))):
        print(slot.strftime("%H:%M"))
