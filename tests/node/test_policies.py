"""Where copies should be, by policy."""

import pytest

from mogilefs.node.policies import (
    MultipleDevices,
    MultipleHosts,
    Place,
    PolicyError,
    Satisfied,
    TooMany,
    Union,
    WantsMore,
    parse,
)

# Two hosts: devices 1-3 on host 1, device 4 on host 2.
ONE_HOST = [Place(1, 1), Place(2, 1), Place(3, 1)]
TWO_HOSTS = [*ONE_HOST, Place(4, 2)]


def devids(places):
    return sorted(place.devid for place in places)


def on(places, *wanted):
    return [place for place in places if place.devid in wanted]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("MultipleHosts()", MultipleHosts()),
        ("  MultipleHosts ( 3 ) ", MultipleHosts(3)),
        ("MultipleHosts(0)", MultipleHosts()),
        ("MultipleDevices(2)", MultipleDevices(2)),
        (
            "Union(MultipleHosts(2),MultipleDevices())",
            Union((MultipleHosts(2), MultipleDevices())),
        ),
        ("Union(Union(MultipleHosts()))", Union((Union((MultipleHosts(),)),))),
    ],
)
def test_reads_a_policy(text, policy):
    assert parse(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "??",
        "MultipleHosts",
        "MultipleHosts(",
        "MultipleHosts(x)",
        "MultipleHosts(1,2)",
        "MultipleHosts()x",
        "multiplehosts()",
        "NoSuchPolicy()",
        "Union()",
        "Union(MultipleHosts()",
        "Union(" * 500 + "MultipleHosts()" + ")" * 500,
        f"MultipleHosts({'9' * 5000})",
    ],
)
def test_refuses_what_is_no_policy(text):
    with pytest.raises(PolicyError):
        parse(text)


def wants(policy, copies, places, mindevcount):
    decision = policy.decide(copies, places, mindevcount)
    assert isinstance(decision, WantsMore)
    return devids(decision.candidates)


def satisfied(policy, copies, places, mindevcount):
    return isinstance(policy.decide(copies, places, mindevcount), Satisfied)


def test_on_one_host_copies_spread_over_devices():
    assert wants(MultipleHosts(), on(ONE_HOST, 1), ONE_HOST, 3) == [2, 3]
    assert wants(MultipleHosts(), on(ONE_HOST, 1, 2), ONE_HOST, 3) == [3]
    assert satisfied(MultipleHosts(), ONE_HOST, ONE_HOST, 3)


def test_another_host_comes_first():
    assert wants(MultipleHosts(), on(TWO_HOSTS, 1), TWO_HOSTS, 2) == [4]
    assert wants(MultipleHosts(), on(TWO_HOSTS, 4), TWO_HOSTS, 2) == [1, 2, 3]
    assert satisfied(MultipleHosts(), on(TWO_HOSTS, 1, 4), TWO_HOSTS, 2)


def test_when_no_other_host_is_left_the_same_hosts_serve():
    assert wants(MultipleHosts(), on(TWO_HOSTS, 1, 4), TWO_HOSTS, 4) == [2, 3]
    assert satisfied(MultipleHosts(), TWO_HOSTS, TWO_HOSTS, 4)


def test_the_number_overrides_the_class():
    assert satisfied(MultipleHosts(1), on(ONE_HOST, 1), ONE_HOST, 3)
    assert wants(MultipleDevices(2), on(ONE_HOST, 1), ONE_HOST, 1) == [2, 3]


def test_every_device_there_is_will_do_from_two_on():
    assert satisfied(MultipleHosts(), on(ONE_HOST, 1, 2), ONE_HOST[:2], 5)
    assert wants(MultipleHosts(), on(ONE_HOST, 1), ONE_HOST[:1], 2) == []
    assert satisfied(MultipleDevices(), on(ONE_HOST, 1, 2), ONE_HOST[:2], 5)
    assert wants(MultipleDevices(), on(ONE_HOST, 1), ONE_HOST[:1], 2) == []


def test_enough_copies_on_too_few_hosts_wait_for_another_host():
    full = [*ONE_HOST, Place(4, 2, open=False)]
    assert wants(MultipleHosts(), on(full, 1, 2), full, 2) == []


def test_a_host_without_a_live_device_is_not_waited_for():
    drained = [*ONE_HOST, Place(4, 2, alive=False, open=False)]
    assert satisfied(MultipleHosts(), on(drained, 1, 2), drained, 2)


def test_a_closed_device_is_no_destination():
    places = [Place(1, 1), Place(2, 1, open=False), Place(3, 1)]
    assert wants(MultipleHosts(), on(places, 1), places, 2) == [3]


def surplus(policy, copies, places, mindevcount):
    decision = policy.decide(copies, places, mindevcount)
    assert isinstance(decision, TooMany)
    return devids(decision.surplus)


def test_a_surplus_copy_is_one_that_the_spread_does_not_need():
    assert surplus(MultipleHosts(), ONE_HOST, ONE_HOST, 2) == [1, 2, 3]
    assert surplus(MultipleHosts(), on(TWO_HOSTS, 1, 2, 4), TWO_HOSTS, 2) == [1, 2]
    assert surplus(MultipleDevices(), on(TWO_HOSTS, 1, 2, 4), TWO_HOSTS, 2) == [1, 2, 4]


def test_misplaced_copies_are_mended_before_they_are_trimmed():
    assert wants(MultipleHosts(), on(TWO_HOSTS, 1, 2, 3), TWO_HOSTS, 2) == [4]


def test_surplus_goes_even_while_another_host_has_no_room():
    full = [*ONE_HOST, Place(4, 2, open=False)]
    assert surplus(MultipleHosts(), on(full, 1, 2, 3), full, 2) == [1, 2, 3]


def test_the_only_copy_is_never_surplus():
    assert satisfied(MultipleHosts(), on(ONE_HOST, 1), ONE_HOST, 1)
    assert wants(MultipleHosts(), [], ONE_HOST, 1) == [1, 2, 3]


def test_a_union_wants_what_any_part_wants():
    policy = parse("Union(MultipleHosts(2), MultipleDevices(3))")
    assert wants(policy, on(TWO_HOSTS, 1), TWO_HOSTS, 1) == [4]
    assert wants(policy, on(TWO_HOSTS, 1, 4), TWO_HOSTS, 1) == [2, 3]
    assert satisfied(policy, on(TWO_HOSTS, 1, 2, 4), TWO_HOSTS, 1)


def test_a_union_spares_a_copy_only_if_every_part_does():
    policy = parse("Union(MultipleHosts(2), MultipleDevices(3))")
    assert surplus(policy, TWO_HOSTS, TWO_HOSTS, 1) == [1, 2, 3]
    assert satisfied(
        parse("Union(MultipleHosts(1), MultipleDevices(2))"), TWO_HOSTS[2:], TWO_HOSTS, 1
    )
