"""Addresses that no prefix may hold."""

import ipaddress

import pytest

from models.domain.special import holds_metadata, is_reserved, reaches_reserved


@pytest.mark.parametrize(
    ("address", "reserved"),
    [
        ("10.1.2.3", True),
        ("100.63.255.255", False),
        ("100.64.0.0", True),
        ("100.127.255.255", True),
        ("100.128.0.0", False),
        ("198.19.0.1", True),
        ("52.1.2.3", False),
        ("64:ff9b::6440:1", True),
        ("64:ff9b::3401:203", False),
        ("64:ff9b:1::1", True),
        ("fd00:ec2::254", True),
        ("fec0::1", True),
        ("2600:9000:1::7", False),
    ],
)
def test_a_reserved_address_is_nobodys_on_the_internet(address: str, reserved: bool) -> None:
    """Carriers' and clouds' inner addresses too, and what NAT64 makes of them."""
    assert is_reserved(ipaddress.ip_address(address)) == reserved


@pytest.mark.parametrize(
    ("prefix", "reserved", "metadata"),
    [
        ("52.1.0.0/16", False, False),
        ("192.0.0.0/16", True, True),
        ("168.63.129.0/24", False, True),
        ("168.63.129.16/32", False, True),
        ("168.63.129.20/30", False, False),
        ("100.100.0.0/16", True, True),
        ("64:ff9b::/64", True, True),
        ("64:ff9b::a83f:8100/120", False, True),
        ("64:ff9b::3401:200/120", False, False),
        ("fd00:ec2::/64", True, True),
        ("2600:9000:1::/64", False, False),
    ],
)
def test_a_prefix_reaches_what_lies_within_it(prefix: str, reserved: bool, metadata: bool) -> None:
    """Whole or in part; a prefix of NAT64 addresses is one of IPv4."""
    network = ipaddress.ip_network(prefix)
    assert (reaches_reserved(network), holds_metadata(network)) == (reserved, metadata)
