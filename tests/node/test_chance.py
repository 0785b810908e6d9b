"""Which device is drawn for a copy."""

from mogilefs.node.chance import EMPTIEST, draw
from mogilefs.node.policies import Place


def test_a_destination_is_drawn_from_the_emptiest():
    crowd = [Place(devid, 1, free=devid) for devid in range(1, 101)]
    drawn = {draw(crowd).devid for _ in range(2000)}
    assert drawn == set(range(101 - EMPTIEST, 101))


def test_more_room_draws_more_copies():
    pair = [Place(1, 1, free=1), Place(2, 1, free=99)]
    drawn = [draw(pair).devid for _ in range(1000)]
    assert drawn.count(2) > 900
    assert draw([Place(1, 1, free=0)]).devid == 1
