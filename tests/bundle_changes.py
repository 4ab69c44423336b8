"""Changes at random of every file of an evidence bundle, some so that entries and checkpoints fit what was changed.

What two verifiers are compared over: most changes alone would end at the first hash, so the last step makes hashes,
signatures or the list of files again, as somebody with the key could.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from tests.bundle_cases.case import hashed_again, sealed_again, with_bytes
from tests.bundle_files import (
    LEDGER,
    LEDGER_2027,
    STRANGER,
    WITNESS,
    BundleFiles,
    TestKey,
    leaf_of,
    note,
    packed,
    root_of,
)  # fmt: skip

_NUMBERS = (0, 1, 2, 3, 5, 7, 8, 11, 18, 19, 20, 255, 256, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 2, 2**63 - 1, 2**63)
_TEXTS = (
    "", "x", "0", "..", "access.events", "access.incidents", "a/b", "\u200b", "\ud800", "1\n", "24:00", "é", "x" * 300,
    "2026-11-27T08:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999998Z", "0001-01-01T00:00:00Z",
    "ab" * 32, "AB" * 32,
)  # fmt: skip
_TYPES = (
    "UInt8", "UInt16", "Int8", "UInt64", "Int64", "String", "LowCardinality(String)", "UUID", "IPv6",
    "FixedString(1)", "FixedString(16)", "FixedString(99999)", "FixedString(0)", "DateTime64(6, 'UTC')",
    "Array(FixedString(16))", "Array(String)", "Array(UInt8)", "Map(String, String)", "Map(String, UInt8)",
    "Array(Array(String))", "Array(Map(String, String))", "Enum8('a' = 1)", "Enum8('a' = 200)", "Enum8('a' = 007)",
    "Enum8('a' = 1, 'b' = 1)", "Enum8('a' = 1, 'a' = 2)", "Enum8('unscored' = 1, 'scored' = 2)",
    "Enum8('gap' = 1, 'dead_letter' = 2, 'event' = 3)", "Enum8('event' = 1, 'dead_letter' = 2, 'gap' = 3)",
    "Enum8('' = 0, 'event' = 1)", "Enum8('a' = -0)", "Enum8()", "Array(Enum8('a' = 1))", "Nullable(String)",
)  # fmt: skip
_KEYS: tuple[TestKey, ...] = (LEDGER, LEDGER, LEDGER, LEDGER_2027, STRANGER, WITNESS)
_NAMED_FILES = ("consistency.json", "frontier.json", "entries.ndjson", "proofs.ndjson", "more.bin")
_UNFIT = (LookupError, ValueError, TypeError, StopIteration, AttributeError, OverflowError, struct.error)
"""What is raised where a change left nothing that could be made to fit."""
_BETWEEN = ("", "", "\n", "\n\n", "\r\n", " \n", "\x0c", "\u2028", "x\n", "— x y\n", "\n— x AAAAAAA=\n")
Change = Callable[[BundleFiles, Random], None]


def _some(bundle: BundleFiles, chance: Random, *endings: str) -> str | None:
    """A file of the bundle with such a name."""
    paths = sorted(path for path in bundle.files if path.endswith(endings or ("",)))
    return chance.choice(paths) if paths else None


def _tree(bundle: BundleFiles, chance: Random) -> str:
    path = _some(bundle, chance, "rows.bin")
    return "0001" if path is None else path.split("/")[1]


# -- bytes and rows


def _bytes(bundle: BundleFiles, chance: Random) -> None:
    """A byte of any file is another, some are gone or put in."""
    path = _some(bundle, chance)
    assert path is not None
    data = bytearray(bundle.files[path])
    at = chance.randrange(len(data) + 1)
    match chance.randrange(3):
        case 0 if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        case 1:
            del data[at : at + chance.choice((1, 2, 40, 100_000))]
        case _:
            data[at:at] = chance.choice((b"\0", b"\n", b" ", b"{", b"\xff" * 8, b"E\0\0\0\0"))
    bundle.files[path] = bytes(data)


def _rows(bundle: BundleFiles, chance: Random) -> None:
    """Rows are gone, doubled, swapped, called otherwise, cut off."""
    tree = _tree(bundle, chance)
    rows = bundle.rows(tree) if f"trees/{tree}/rows.bin" in bundle.files else []
    if not rows:
        return
    one, other = chance.randrange(len(rows)), chance.randrange(len(rows))
    table, data = rows[one]
    match chance.randrange(8):
        case 0:
            del rows[one : other + 1]
        case 1:
            rows.insert(other, rows[one])
        case 2:
            rows[one], rows[other] = rows[other], rows[one]
        case 3:
            rows[one] = chance.choice("EDIPX"), data
        case 4:
            rows[one] = "P", leaf_of(rows[one])
        case 5:
            rows[one] = table, data[: chance.randrange(len(data) + 1)]
        case 6:
            rows[one] = table, data + b"\0"
        case _:
            rows.append(rows[other])
    _put(bundle, chance, tree, rows)


def _row_bytes(bundle: BundleFiles, chance: Random) -> None:
    """Something of a row is another: its head (kind, version, partition, offset, time), or any byte of it."""
    tree = _tree(bundle, chance)
    rows = bundle.rows(tree) if f"trees/{tree}/rows.bin" in bundle.files else []
    if not rows:
        return
    at = chance.randrange(len(rows))
    table, data = rows[at]
    number = chance.choice(_NUMBERS)
    match chance.randrange(6):
        case 0:
            data = with_bytes(data, chance.randrange(2), bytes([number & 0xFF]))
        case 1:
            data = with_bytes(data, 2, (number & 0xFFFFFFFF).to_bytes(4, "little"))
        case 2 | 3:
            data = with_bytes(data, chance.choice((6, 14, 22)), number.to_bytes(8, "little"))
        case 4:
            place = chance.randrange(len(data) + 1)
            data = with_bytes(data, place, bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF))]))[: len(data)]
        case _:
            place = chance.randrange(len(data) + 1)
            data = data[:place] + chance.choice((b"\x80\0", b"\xff" * 9, b"\0", b"\x81\x80\x80\0")) + data[place:]
    rows[at] = table, data
    _put(bundle, chance, tree, rows)


def _put(bundle: BundleFiles, chance: Random, tree: str, rows: Sequence[tuple[str, bytes]]) -> None:
    bundle.files[f"trees/{tree}/rows.bin"] = packed(rows)
    if chance.randrange(4):
        with suppress(*_UNFIT):
            bundle.change_tree(tree, leaves=len(rows))


# -- JSON


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key of a document."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += [(value, key), *_places(value[key])]
    return found


def _other(value: Any, chance: Random) -> Any:
    """Another value, most often of the same type."""
    if chance.randrange(12) == 0:
        return chance.choice((None, True, 1.5, [], {}, "x", 0, -1, float("nan"), [[[]]]))
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int):
        return value + chance.choice((-1, 1, 2, 3)) if chance.randrange(2) else chance.choice(_NUMBERS)
    if isinstance(value, str):
        return _other_text(value, chance)
    if isinstance(value, list):
        return chance.choice((value[1:], value[:-1], value[::-1], value + value[-1:], [*value, value]))
    return {**value, "more": 1} if chance.randrange(2) else dict(list(value.items())[1:])


def _other_text(text: str, chance: Random) -> str:
    at = chance.randrange(len(text) + 1)
    match chance.randrange(5):
        case 0:
            return chance.choice(_TEXTS)
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + chance.choice(("0", "9", "a", "\n", " ", "é", "\u200b", "\ud800", "\x7f")) + text[at:]
        case 3:
            return text[:at] + chance.choice(("0", "9", "f")) + text[at + 1 :]
        case _:
            return chance.choice(_NUMBERS).__str__()


def _json_of(values: Sequence[Any], *, is_document: bool) -> bytes:
    if is_document:
        return json.dumps(values[0]).encode() + b"\n"
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def _changed_json(bundle: BundleFiles, chance: Random, path: str | None) -> None:
    if path is None:
        return
    is_document = path.endswith(".json")
    try:
        values = [json.loads(bundle.files[path])] if is_document else bundle.lines(path)
    except ValueError:
        return
    if not is_document and values and chance.randrange(4) == 0:
        _changed_lines(values, chance)
    else:
        places = _places(values)
        if not is_document or chance.randrange(3):
            places = [place for place in places if not isinstance(place[0], list) or chance.randrange(8) == 0]
        if places:
            container, key = chance.choice(places)
            container[key] = _other(container[key], chance)
    bundle.files[path] = _json_of(values, is_document=is_document)


def _changed_lines(values: list[Any], chance: Random) -> None:
    one, other = chance.randrange(len(values)), chance.randrange(len(values))
    match chance.randrange(3):
        case 0:
            del values[one]
        case 1:
            values.insert(other, values[one])
        case _:
            values[one], values[other] = values[other], values[one]


def _entries(bundle: BundleFiles, chance: Random) -> None:
    _changed_json(bundle, chance, _some(bundle, chance, "entries.ndjson"))


def _entry_numbers(bundle: BundleFiles, chance: Random) -> None:
    """Numbers of an entry that go together."""
    path = _some(bundle, chance, "entries.ndjson")
    if path is None or not (entries := _lines(bundle, path)):
        return
    entry = chance.choice(entries)
    for name in chance.sample(("first_offset", "last_offset", "tree_size_before", "tree_size", "n_gaps"), 2):
        if isinstance(entry, dict) and type(entry.get(name)) is int:
            near = max(0, entry[name] + chance.choice((-3, -1, 1, 3)))
            entry[name] = near if chance.randrange(2) else chance.choice(_NUMBERS)
    bundle.files[path] = _json_of(entries, is_document=False)


def _lines(bundle: BundleFiles, path: str) -> list[Any]:
    try:
        return bundle.lines(path)
    except ValueError:
        return []


def _proofs(bundle: BundleFiles, chance: Random) -> None:
    _changed_json(bundle, chance, _some(bundle, chance, "proofs.ndjson", "consistency.json", "frontier.json"))


def _manifest(bundle: BundleFiles, chance: Random) -> None:
    try:
        manifest = bundle.manifest
    except (KeyError, ValueError):
        return
    part = chance.choice(("deployment", "made_at", "kind", "query", "columns", "trees", "trees", "trees", "files", ""))
    if part not in manifest:
        _changed_json(bundle, chance, "manifest.json")
        return
    container, key = chance.choice([(manifest, part), *_places(manifest[part])])
    container[key] = _other(container[key], chance)
    bundle.files["manifest.json"] = _json_of([manifest], is_document=True)


def _columns(bundle: BundleFiles, chance: Random) -> None:
    """Lists of columns of versions that nobody knows, other types and names, and rows that say to be of them."""
    try:
        manifest = bundle.manifest
        columns = manifest["columns"]
        name = chance.choice(sorted(columns))
    except (KeyError, ValueError, IndexError, TypeError):
        return
    table, _, _ = name.partition("/")
    pairs = [list(pair) for pair in columns[name] if isinstance(pair, list)] if isinstance(columns[name], list) else []
    for _ in range(chance.randrange(3)):
        if not pairs:
            break
        at = chance.randrange(min(len(pairs), chance.choice((3, 12, 100))))
        match chance.randrange(5):
            case 0:
                del pairs[at]
            case 1:
                pairs.insert(at, [chance.choice(("more", "leaf_kind", "\ud800", "")), chance.choice(_TYPES)])
            case 2:
                pairs[at], pairs[-1] = pairs[-1], pairs[at]
            case _ if len(pairs[at]) > 1:
                pairs[at] = [pairs[at][0], chance.choice(_TYPES)]
            case _:
                pass
    version = chance.choice((3, 3, 3, 3, 1, 255, 256, 2))
    if table == "incident_log":
        del columns[name]
    columns[f"{table}/{version}"] = pairs
    bundle.files["manifest.json"] = _json_of([manifest], is_document=True)
    if chance.randrange(4):
        _of_version(bundle, chance, table, version & 0xFF)


def _of_version(bundle: BundleFiles, chance: Random, table: str, version: int) -> None:
    letter = {"access_events": "E", "dead_letters": "D"}.get(table)
    tree = _tree(bundle, chance)
    rows = bundle.rows(tree) if f"trees/{tree}/rows.bin" in bundle.files else []
    if letter is not None and rows:
        rows = [(own, with_bytes(data, 1, bytes([version])) if own == letter else data) for own, data in rows]
        bundle.files[f"trees/{tree}/rows.bin"] = packed(rows)


def _files(bundle: BundleFiles, chance: Random) -> None:
    """A file is gone, renamed, empty, or there too much."""
    path = _some(bundle, chance)
    assert path is not None
    match chance.randrange(4):
        case 0 if len(bundle.files) > 1:
            del bundle.files[path]
        case 1:
            bundle.files[path] = b""
        case 2:
            bundle.files[f"trees/{_tree(bundle, chance)}/{chance.choice(_NAMED_FILES)}"] = bundle.files[path]
        case _:
            bundle.files[chance.choice(("keys.pub", "trees/0001/more/x", "a b", "é", "-"))] = b"x"


# -- checkpoints


def _checkpoints(bundle: BundleFiles, chance: Random) -> None:
    _changed_json(bundle, chance, _some(bundle, chance, "checkpoints.ndjson"))


def _note(bundle: BundleFiles, chance: Random) -> None:
    """A checkpoint with another text, signed anew or not, or with other lines of signatures."""
    path = _some(bundle, chance, "checkpoints.ndjson")
    lines = _lines(bundle, path) if path is not None else []
    lines = [line for line in lines if isinstance(line, dict) and isinstance(line.get("note"), str)]
    if path is None or not lines:
        return
    line = chance.choice(lines)
    text, _, signatures = line["note"].rpartition("\n\n")
    text += "\n"
    parts = text.split("\n")
    match chance.randrange(7):
        case 0 if len(parts) > 2:
            parts[1] = chance.choice((*map(str, _NUMBERS), "007", "-1", "٣", "1" * 20))
        case 1 if len(parts) > 3:
            parts[2] = chance.choice((parts[2][:-1], parts[2] + "=", "AAAA", parts[2][:-2] + "F=", ""))
        case 2:
            parts.insert(chance.randrange(len(parts)), chance.choice(("more", "", "é", "\ud800", "— x y", "\x7f")))
        case 3:
            parts[0] = chance.choice((parts[0] + "0", "", "a/b/c/d/e", parts[0].upper()))
        case _:
            pass
    text = "\n".join(parts)
    if chance.randrange(4):
        signatures = "".join(_signature(text, chance) for _ in range(chance.choice((1, 1, 1, 2, 3, 120))))
    if chance.randrange(5) == 0:
        signatures = _more_signatures(signatures, chance)
    line["note"] = f"{text}\n{signatures}"
    if chance.randrange(3) == 0:
        line["signed_at"] = _other_text(str(line.get("signed_at")), chance)
    bundle.files[path] = _json_of(lines, is_document=False)


def _signature(text: str, chance: Random) -> str:
    key = chance.choice(_KEYS)
    return key.signature_line(text.encode(errors="replace").decode())


def _more_signatures(signatures: str, chance: Random) -> str:
    line = chance.choice(
        ("— \u200b AAAAAAA=\n", "— x AAAA\n", "— x AAAAAAA=\n", "— a+b AAAAAAA=\n", "— x\n", "x\n", "\n",
         f"— {LEDGER.name} AAAAAAA=\n", STRANGER.signature_line("x\n"), "— x AAAAAAB=\n", "— \x85 AAAAAAA=\n",
         "— \U000e0001x AAAAAAA=\n", "x" * 70_000 + "\n", "— x " + "AAAA" * 17_500 + "\n")
    )  # fmt: skip
    return line + signatures if chance.randrange(2) else signatures + line


CHANGES: tuple[Change, ...] = (
    _bytes, _rows, _rows, _row_bytes, _row_bytes, _entries, _entries, _entry_numbers, _proofs, _manifest, _columns,
    _columns, _files, _checkpoints, _note, _note,
)  # fmt: skip


# -- made to fit


def _sealed_again(bundle: BundleFiles, chance: Random) -> None:
    """Entries of a tree made over its rows, by offsets: all of them, or hashes only."""
    path = _some(bundle, chance, "entries.ndjson")
    if path is None:
        return
    if path.endswith("0001/entries.ndjson") and chance.randrange(2):
        sealed_again(bundle)
    else:
        entries = _lines(bundle, path)
        bundle.files[path] = _json_of(hashed_again(entries, chance.randrange(2)), is_document=False)


def _signed_again(bundle: BundleFiles, chance: Random) -> None:
    """A checkpoint of the rows as they are now, or of what the last entry says, by whoever holds the key."""
    tree = _tree(bundle, chance)
    manifest = next(one for one in bundle.manifest["trees"] if one["id"] == tree)
    names = "topic", "incarnation", "partition", "epoch"
    origin = "/".join((bundle.manifest["deployment"], *(str(manifest[name]) for name in names)))
    leaves = [leaf_of(row) for row in bundle.rows(tree)]
    size, root = len(leaves), root_of(leaves)
    if f"trees/{tree}/entries.ndjson" in bundle.files and chance.randrange(2):
        last = chance.choice(bundle.entries(tree))
        size, root = last["tree_size"], bytes.fromhex(last["root"])
    lines = bundle.checkpoints(tree)
    keys = chance.sample((LEDGER, LEDGER_2027), chance.choice((1, 1, 2)))
    lines = [line for line in lines if chance.randrange(3)] if chance.randrange(2) else []
    lines.append({"note": note(origin, size, root, *keys), "signed_at": "2026-11-27T08:59:00Z"})
    bundle.set_checkpoints(lines, tree)


def changed(bundle: BundleFiles, chance: Random) -> list[str]:
    """Changes a bundle in place; the names of what was done."""
    done = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        change = chance.choice(CHANGES)
        change(bundle, chance)
        done.append(change.__name__)
    for again in (_sealed_again, _signed_again):
        if chance.randrange(2):
            with suppress(*_UNFIT):
                again(bundle, chance)
                done.append(again.__name__)
    if chance.randrange(8):
        with suppress(*_UNFIT):
            bundle.list_again()
            done.append("list_again")
    return done


def kept(bundle: BundleFiles, chance: Random) -> str | None:
    """A file of checkpoints that somebody kept: those of the bundle, in some order, with something between; or none."""
    if chance.randrange(3):
        return None
    with suppress(*_UNFIT):
        notes = [line["note"] for line in bundle.checkpoints(_tree(bundle, chance))]
        text = chance.choice(_BETWEEN).join(chance.sample(notes, chance.randrange(1, len(notes) + 1)))
        text += chance.choice(("", *_BETWEEN))
        if chance.randrange(4) == 0:
            text = _other_text(text, chance)
        return text.encode(errors="replace").decode()
    return None
