"""Labels, selectors, prefixes, names and ports: the small terms that policies are made of."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.cidr import CidrSelector, parse_address, parse_prefix
from models.domain.fqdn import FqdnSelector
from models.domain.labels import LabelSet, parse_label
from models.domain.portset import MAX_PORT, PortRange, PortSet, Protocol
from models.domain.selector import Operator, Requirement

ports = st.integers(0, MAX_PORT)
ranges = st.builds(
    lambda p, a, b: PortRange(p, min(a, b), max(a, b)),
    st.sampled_from([Protocol.TCP, Protocol.UDP]),
    ports,
    ports,
)


def test_trap_F11_labels_split_once() -> None:
    """The first colon ends the source and the first equals sign the key."""
    assert parse_label("k8s:a=b=c:d") == ("k8s", "a", "b=c:d")
    assert parse_label("cidr:10.0.0.0/8") == ("cidr", "10.0.0.0/8", "")
    assert parse_label("app=web") == ("unspec", "app", "web")


@given(st.text(max_size=30))
def test_any_text_is_a_label(text: str) -> None:
    """Hostile labels are data."""
    assert len(parse_label(text)) == 3


@pytest.mark.parametrize(
    ("operator", "values", "web", "absent"),
    [
        (Operator.IN, ("web", "x"), True, False),
        (Operator.IN, ("x",), False, False),
        (Operator.NOT_IN, ("web",), False, True),
        (Operator.NOT_IN, ("x",), True, True),
        (Operator.EXISTS, (), True, False),
        (Operator.DOES_NOT_EXIST, (), False, True),
    ],
)
def test_operators_on_a_present_and_a_missing_key(operator, values, web, absent) -> None:
    """A missing key fulfils NotIn and DoesNotExist."""
    requirement = Requirement("any", "app", operator, values)
    assert requirement.holds(LabelSet.of(["k8s:app=web"])) is web
    assert requirement.holds(LabelSet.of(["k8s:tier=x"])) is absent
    assert Requirement("container", "app", operator, values).holds(LabelSet.of(["k8s:app=web"])) is absent


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/255.0.0.0",
        "fe80::1%eth0/64",
        "",
        "/",
        "a/8",
        "10.0.0.0/-1",
    ],
)
def test_what_is_no_prefix(text: str) -> None:
    """Neither bare addresses nor netmasks, zones or leading zeros."""
    assert parse_prefix(text) is None


def test_host_bits_are_masked_and_families_kept_apart() -> None:
    """10.1.2.3/8 is 10.0.0.0/8, and no IPv6 address is in it."""
    selector = CidrSelector(parse_prefix("10.1.2.3/8"), (parse_prefix("10.9.0.0/16"),))
    assert selector.contains(ipaddress.ip_address("10.200.0.1"))
    assert not selector.contains(ipaddress.ip_address("10.9.0.1"))
    assert not selector.contains(ipaddress.ip_address("::a01:203"))
    assert parse_address("::ffff:10.0.0.1") == ipaddress.ip_address("10.0.0.1")
    assert parse_address("nonsense") is None


@pytest.mark.parametrize(
    ("pattern", "name", "until_118", "from_119"),
    [
        ("*", "a.b.c", True, True),
        ("**", "a.b.example.com", False, True),
        ("*.example.com", "API.example.COM.", True, True),
        ("*.example.com", "example.com", False, False),
        ("*.example.com", "a.b.example.com", False, False),
        ("**.example.com", "a.b.example.com", False, True),
        ("**.example.com", "example.com", False, False),
        ("api.**.example.com", "api.a.b.example.com", False, False),
        ("*example.com", "myexample.com", True, True),
        ("a.c", "abc", False, False),
    ],
)
def test_trap_G13_G18_patterns(pattern: str, name: str, until_118: bool, from_119: bool) -> None:
    """A star never crosses a dot nor matches the apex; a leading double star needs 1.19."""
    selector = FqdnSelector(pattern=pattern)
    assert selector.matches(name, deep_wildcards=False) is until_118
    assert selector.matches(name, deep_wildcards=True) is from_119


@given(ranges)
def test_masks_tile_a_range_exactly(numbers: PortRange) -> None:
    """The prefixes of a range cover every port once; at most thirty are needed."""
    lengths = numbers.prefix_lengths
    assert sum(1 << (16 - length) for length in lengths) == numbers.last - numbers.first + 1
    assert len(lengths) == numbers.mask_count <= 30


@pytest.mark.parametrize(
    ("first", "last", "masks"),
    [(1, 65535, 16), (1, 65534, 30), (1024, 65535, 6), (32768, 60999, 7), (8000, 8999, 6), (8080, 8090, 3),
     (10000, 20000, 11), (30000, 32767, 5), (0, 65535, 1)],
)  # fmt: skip
def test_masks_of_known_ranges(first: int, last: int, masks: int) -> None:
    """The numbers of Cilium's own splitter."""
    assert PortRange(Protocol.TCP, first, last).mask_count == masks


@given(
    st.lists(ranges, max_size=5),
    st.lists(ranges, max_size=5),
    ports,
    st.sampled_from([Protocol.TCP, Protocol.UDP]),
)
def test_port_sets_are_sets(one, other, port, protocol) -> None:
    """Union, intersection and covering mean what they mean point by point."""
    first, second = PortSet.of(one), PortSet.of(other)

    def has(ports_: PortSet) -> bool:
        return any(r.protocol == protocol and r.contains(port) for r in ports_.ranges)

    assert has(first.union(second)) == (has(first) or has(second))
    assert has(first.intersection(second)) == (has(first) and has(second))
    assert first.covers(first.intersection(second))
    assert first.union(second).covers(first)
    if first.covers(second) and has(second):
        assert has(first)


@given(ranges, ports)
def test_the_prefix_at_a_port_is_one_of_the_tiles(numbers: PortRange, port: int) -> None:
    """Outside the range there is none."""
    if numbers.contains(port):
        assert numbers.prefix_length_at(port) in numbers.prefix_lengths
    else:
        with pytest.raises(ValueError, match="outside"):
            numbers.prefix_length_at(port)
