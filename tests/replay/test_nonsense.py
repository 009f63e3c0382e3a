"""Whatever stands in a file, every line is accounted for and every record can be written."""

import random

import builders as b

from streams.records import SessionStatus
from streams.records.timeline import encode
from streams.replaying.writing import written

PIECES = [b"\\ud800", b'"', b"{", b"null", b"1e999", b"\xff", b"[" * 500, b"2200-01-01", b'"record":"outcome",']


def broken(lines, chance):
    for line in lines:
        damaged = bytearray(line)
        for _ in range(chance.randint(0, 4)):
            place = chance.randrange(len(damaged) + 1)
            damaged[place : place + chance.choice((0, 1, 20))] = chance.choice(
                [*PIECES, bytes([chance.randrange(256)])]
            )
        yield bytes(damaged)


def test_damaged_lines_become_events_or_dead_letters(replayed):
    def good():
        for n in range(600):
            yield b.tool_failed(n, session=f"s{n % 7}")
            yield b.llm_called(n, session=f"s{n % 7}")
            yield b.eval_scored(n, session=f"s{n % 7}")
            yield b.session_ended(n, session=f"s{n % 7}", status=SessionStatus.failed)
            yield b.outcome("v1:x:y#1", "fixed", n)
            yield b.release_registered(n)

    def lines():
        for record in good():
            if hasattr(record, "position"):
                record.position = None
            yield encode(record)

    chance = random.Random(5)
    damaged = [line for line in broken(lines(), chance) if line.strip()]
    said = replayed(damaged)
    refused = sum(said.last.dead_letters.values())
    assert refused == len(said.dead_letter) > 1000
    assert said.last.lines == len(damaged)
    assert said.last.events + refused < len(damaged)  # the rest are deliveries and decisions
    assert all(b"\n" not in written(record) for record in said.records)
