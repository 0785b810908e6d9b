import pytest

from mogilefs.errors import ConfigurationError
from mogilefs.node.networks import Networks


def test_without_networks_only_this_machine_may_talk():
    networks = Networks()
    assert all(map(networks.allows, ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]))
    assert not any(map(networks.allows, ["10.0.0.1", "192.168.1.1", "fe80::1%eth0", "?", ""]))


def test_given_networks_may_talk_and_nobody_else():
    networks = Networks(["10.0.0.0/8", " 192.168.7.9 ", "fd00::/8"])
    assert all(map(networks.allows, ["10.255.0.1", "192.168.7.9", "fd12::1", "::ffff:10.1.2.3"]))
    assert not any(map(networks.allows, ["11.0.0.1", "192.168.7.8", "127.0.0.1", "::1"]))


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "10.0.0.1/8", "everybody", "", "10.0.0"])
def test_what_is_no_network_is_named(wrong):
    with pytest.raises(ConfigurationError, match=f"allow: '{wrong}' is no network"):
        Networks(["10.0.0.0/8", wrong])
