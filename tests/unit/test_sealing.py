"""Sealed payloads: the cipher is that of RFC 5297, and what is bound cannot be exchanged."""

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import example, given
from hypothesis import strategies as st

from eventstore.envelope import COLUMNS, GENESIS, Envelope, blind_of, commitment_of
from eventstore.errors import SealBroken, UnknownEvent
from eventstore.sealing import bound, is_committed, keyed_digest, open_row, seal
from security.data_keys import DataKey, KeyRing, MissingKey

PAYLOAD = b'{"amount":"100000.00","reason":"as stated"}'


def key_of(name: str) -> DataKey:
    return DataKey(hashlib.sha512(name.encode()).digest(), hashlib.sha256(name.encode()).digest())


KEYS = KeyRing({2: key_of("two"), 3: key_of("three")})


# -- the cipher, from its definition ---------------------------------------------------------


def cmac(key: bytes, data: bytes) -> bytes:
    made = CMAC(algorithms.AES(key))
    made.update(data)
    return made.finalize()


def doubled(block: bytes) -> bytes:
    """RFC 5297 section 2.3: multiplication by x in GF(2^128)."""
    number = int.from_bytes(block) << 1
    return ((number ^ 0x87) & (2**128 - 1) if block[0] & 0x80 else number).to_bytes(16)


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def s2v(key: bytes, strings: list[bytes]) -> bytes:
    """RFC 5297 section 2.4."""
    found = cmac(key, bytes(16))
    for string in strings[:-1]:
        found = xor(doubled(found), cmac(key, string))
    last = strings[-1]
    if len(last) >= 16:
        return cmac(key, last[:-16] + xor(last[-16:], found))
    return cmac(key, xor(doubled(found), last + b"\x80" + bytes(15 - len(last))))


def siv_encrypt(key: bytes, associated: list[bytes], plain: bytes) -> bytes:
    """RFC 5297 section 2.6."""
    authenticating, encrypting = key[: len(key) // 2], key[len(key) // 2 :]
    v = s2v(authenticating, [*associated, plain])
    counter = (int.from_bytes(v) & ~(1 << 63) & ~(1 << 31)).to_bytes(16)
    made = Cipher(algorithms.AES(encrypting), modes.CTR(counter)).encryptor()
    return v + made.update(plain) + made.finalize()


def hexadecimal(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


# Appendix A.1 and A.2: key, associated data, plaintext, output
PUBLISHED = {
    "A.1": (
        "fffefdfc fbfaf9f8 f7f6f5f4 f3f2f1f0 f0f1f2f3 f4f5f6f7 f8f9fafb fcfdfeff",
        ["10111213 14151617 18191a1b 1c1d1e1f 20212223 24252627"],
        "11223344 55667788 99aabbcc ddee",
        "85632d07 c6e8f37f 950acd32 0a2ecc93 40c02b96 90c4dc04 daef7f6a fe5c",
    ),
    "A.2": (
        "7f7e7d7c 7b7a7978 77767574 73727170 40414243 44454647 48494a4b 4c4d4e4f",
        [
            "00112233 44556677 8899aabb ccddeeff deaddada deaddada ffeeddcc bbaa9988 77665544"
            "33221100",
            "10203040 50607080 90a0",
            "09f91102 9d74e35b d84156c5 635688c0",
        ],
        "74686973 20697320 736f6d65 20706c61 696e7465 78742074 6f20656e 63727970 74207573 696e6720"
        "5349562d 414553",
        "7bdb6e3b 432667eb 06f4d14b ff2fbd0f cb900f2f ddbe4043 26601965 c889bf17 dba77ceb 094fa663"
        "b7a3f748 ba8af829 ea64ad54 4a272e9c 485b62a3 fd5c0d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_cipher_gives_the_published_vectors(name: str) -> None:
    key, associated, plain, output = PUBLISHED[name]
    data = [hexadecimal(text) for text in associated]
    arguments = hexadecimal(plain), data
    assert AESSIV(hexadecimal(key)).encrypt(*arguments) == hexadecimal(output)
    assert siv_encrypt(hexadecimal(key), data, hexadecimal(plain)) == hexadecimal(output)


@given(
    payload=st.binary(min_size=1, max_size=70),
    stream=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    version=st.integers(1, 2**40),
)
@example(payload=b"x" * 16, stream="", version=1)
def test_a_sealed_payload_is_what_the_rfc_says_of_it(
    payload: bytes, stream: str, version: int
) -> None:
    key = KEYS.of(2)
    state, commitment = seal(2, key, stream, version, "Order.Filled", 1, payload)
    assert commitment == commitment_of(blind_of(key.blind, stream, version), payload)
    place = bound(2, stream, version, "Order.Filled", 1, commitment)
    assert state == siv_encrypt(key.siv, [place], payload)


# -- rows ------------------------------------------------------------------------------------


def row_of(epoch: int = 2, payload: bytes = PAYLOAD, **fields: Any) -> Envelope:
    named: dict[str, Any] = {"originator_id": "capital-r1", "originator_version": 1}
    named |= {"topic": "Capital.Deposited", "schema_version": 1} | fields
    state, commitment = seal(
        epoch, KEYS.of(epoch) if epoch else DataKey(b"", bytes(32)), named["originator_id"],
        named["originator_version"], named["topic"], named["schema_version"], payload,
    )  # fmt: skip
    return Envelope(
        position=17, state=state, commitment=commitment, recorded_at=1, command_id="c",
        command_index=0, command_digest=bytes(32), actor="a", correlation_id="", causation_id="",
        software_version="1", key_epoch=epoch, hash=GENESIS, **named,
    )  # fmt: skip


def test_a_sealed_row_opens_and_one_in_clear_stays_as_it_is() -> None:
    row = row_of()
    assert PAYLOAD not in row.state
    assert len(row.state) == len(PAYLOAD) + 16
    assert open_row(KEYS, row) == PAYLOAD
    assert is_committed(KEYS.of(2), row, PAYLOAD)
    assert not is_committed(KEYS.of(3), row, PAYLOAD)
    assert open_row(KeyRing({}), row_of(0)) == row_of(0).state == PAYLOAD


def test_the_same_payload_is_sealed_differently_wherever_it_stands() -> None:
    rows = [
        row_of(), row_of(3), row_of(originator_id="capital-r2"), row_of(originator_version=2),
        row_of(topic="Capital.Withdrawn"), row_of(schema_version=2),
    ]  # fmt: skip
    assert len({row.state for row in rows}) == len(rows)
    assert row_of().state == row_of().state


@pytest.mark.parametrize(
    "change",
    [
        {"originator_id": "capital-r2"}, {"originator_version": 2}, {"schema_version": 2},
        {"topic": "Capital.Withdrawn"}, {"commitment": bytes(32)}, {"key_epoch": 3},
        {"state": b""}, {"state": b"x" * 15}, {"state": row_of().state[:-1]},
        {"state": row_of().state + b"x"}, {"state": row_of(3).state}, {"state": PAYLOAD},
        {"state": row_of(originator_version=2).state},
        {"topic": "Capital.Deposite", "originator_id": "capital-r1d"},
        {"topic": "dCapital.Deposited", "originator_id": "capital-r1"[:-1]},
    ],
    ids=lambda change: ",".join(f"{k}={v!r:.12}" for k, v in change.items()),
)  # fmt: skip
def test_what_is_taken_from_elsewhere_changed_or_cut_does_not_open(change: dict[str, Any]) -> None:
    row = row_of()._replace(**change)
    with pytest.raises(SealBroken, match=r"Event 17 .*does not open under epoch.*tbot verify") as e:
        open_row(KEYS, row)
    assert isinstance(e.value, UnknownEvent)  # so that pages and views treat it like one


def test_every_bit_of_a_ciphertext_counts() -> None:
    row = row_of()
    for n in range(8 * len(row.state)):
        changed = bytearray(row.state)
        changed[n // 8] ^= 1 << n % 8
        with pytest.raises(SealBroken):
            open_row(KEYS, row._replace(state=bytes(changed)))


def test_fields_that_run_into_one_another_are_told_apart() -> None:
    """What two events have bound is never the same bytes."""
    assert COLUMNS[1:5] == ("originator_id", "originator_version", "topic", "schema_version")
    places = [
        (2, "ab", 1, "c", 1, b"d"), (2, "a", 1, "bc", 1, b"d"), (2, "ab", 1, "cd", 1, b""),
        (2, "", 1, "abc", 1, b"d"), (2, "ab", 1, "", 1, b"cd"), (2, "abc", 1, "", 1, b"d"),
    ]  # fmt: skip
    assert len({bound(*place) for place in places}) == len(places)


def test_without_the_key_of_its_epoch_it_is_said_which_is_missing() -> None:
    with pytest.raises(MissingKey, match="epoch 2 is not here"):
        open_row(KeyRing({3: KEYS.of(3)}), row_of())
    with pytest.raises(SealBroken, match="another bot's"):
        open_row(KeyRing({2: key_of("another bot")}), row_of())


def test_a_command_digest_tells_nothing_to_who_guesses_the_command() -> None:
    digest = hashlib.sha256(PAYLOAD).digest()
    found = {keyed_digest(key, digest) for _, key in KEYS.items()}
    assert len(found) == 2
    assert digest not in found
