"""Read the contracts of a folder, and tell every fault of every file.

Source: <feeds folder>/<domain>/<feed>.yml.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ingest.contract import (
    NOT_ACCEPTED,
    AfterLoad,
    Cadence,
    Column,
    ColumnType,
    Contract,
    CsvFormat,
    DateOrder,
    DeliveryMode,
    Freshness,
    Reference,
    Retention,
    repeated,
)
from ingest.errors import ContractError
from ingest.names import unknown_names


def load_contracts(folder: Path) -> dict[str, Contract]:
    """Read and check every contract below a folder.

    Returns:
        The contracts by feed, sorted by feed.

    Raises:
        ContractError: a file is no valid contract, or two describe one feed. The message names every fault of every
            file: file, key, and the accepted values where there is a list of them.
    """
    if not folder.is_dir():
        raise ContractError(f"{folder}: there is no such folder of feed contracts")
    faults: list[str] = []
    found: dict[str, tuple[Contract, str]] = {}
    for path in sorted([*folder.rglob("[!.]*.yml"), *folder.rglob("[!.]*.yaml")]):
        shown = path.relative_to(folder).as_posix()
        contract, file_faults = _read_contract(path)
        if contract is not None:
            expected = f"{contract.domain}/{contract.feed}.yml"
            if shown != expected:
                file_faults.append(f"feed, domain: say that this file is {expected}")
            if contract.feed in found:
                file_faults.append(f"feed: {contract.feed!r} is already described by {found[contract.feed][1]}")
            found.setdefault(contract.feed, (contract, shown))
        if file_faults:
            faults += [f"{path}:", *(f"  {fault}" for fault in file_faults)]
    if not faults:  # else a feed that is referred to may be one whose file could not be read
        contracts = {feed: contract for feed, (contract, _) in found.items()}
        for contract, shown in found.values():
            if reference_faults := list(_reference_faults(contract, contracts)):
                faults += [f"{folder / shown}:", *(f"  {fault}" for fault in reference_faults)]
    if faults:
        raise ContractError("\n".join(faults))
    return {feed: found[feed][0] for feed in sorted(found)}


def domains(contracts: Mapping[str, Contract]) -> list[str]:
    """The domains that have a feed, sorted."""
    return sorted({contract.domain for contract in contracts.values()})


def _read_contract(path: Path) -> tuple[Contract | None, list[str]]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506  (a safe loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return None, [f"is no valid YAML: {' '.join(str(error).split())}"]
    if not isinstance(content, dict):
        return None, [f"must be a mapping with the keys {', '.join(Contract.model_fields)}"]
    try:
        return Contract.model_validate(content), []
    except ValidationError as error:
        return None, [fault for detail in error.errors() for fault in _explain(detail)]


def _explain(detail: Any) -> list[str]:
    """Turn one error of pydantic into lines of the form ``key path: what is wrong; accepted values: …``."""
    path = _key_path(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    explanations: dict[str, Callable[[], str]] = {
        "extra_forbidden": lambda: f"unknown key; accepted keys: {', '.join(_keys_beside(detail['loc']))}",
        "missing": lambda: "is missing" + _accepted_suffix(detail["loc"]),
        "literal_error": lambda: f"{detail['input']!r} is not accepted" + _accepted_suffix(detail["loc"]),
        "string_pattern_mismatch": lambda: (
            f"{detail['input']!r} is no safe name; accepted: lower case letters, digits and _,"
            " a letter first, at most 40 characters"
        ),
    }
    if kind == "value_error":
        prefix = f"{path}." if path else ""
        return [f"{prefix}{line}" for line in str(context["error"]).splitlines()]
    if kind == NOT_ACCEPTED:
        return [f"{path}: {detail['msg']}"]
    if kind in explanations:
        return [f"{path}: {explanations[kind]()}"]
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return [f"{path}: {message}, not {detail['input']!r}"]


def _key_path(location: Iterable[str | int]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _keys_beside(location: tuple[str | int, ...]) -> Iterable[str]:
    nested: dict[str | int, type[BaseModel]] = {
        **{"columns": Column, "references": Reference, "csv": CsvFormat, "freshness": Freshness},
        "retention": Retention,
    }
    return next((nested[part] for part in reversed(location[:-1]) if part in nested), Contract).model_fields


def _accepted_suffix(location: tuple[str | int, ...]) -> str:
    accepted: Mapping[str, Any] = {
        **{"type": ColumnType, "cadence": Cadence, "delivery": DeliveryMode, "after_load": AfterLoad},
        "date_order": DateOrder,
    }
    choices = get_args(accepted.get(str(location[-1])))
    return f"; accepted values: {', '.join(choices)}" if choices else ""


def _reference_faults(contract: Contract, contracts: Mapping[str, Contract]) -> Iterable[str]:
    for place, column in enumerate(contract.columns):
        if (reference := column.references) is None:
            continue
        path = f"columns[{place}].references"
        if (other := contracts.get(reference.feed)) is None:
            yield f"{path}.feed: {unknown_names('feed', [reference.feed], sorted(contracts))}"
        elif reference.column not in other.column_names:
            yield f"{path}.column: {unknown_names(f'column of {other.feed}', [reference.column], other.column_names)}"
        elif other.raw_days is not None:
            yield (
                f"{path}.feed: rows of {other.feed} leave raw (its retention.raw_days), and would not be found: take"
                " raw_days out of that contract, or this reference out of this one"
            )


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a mapping with one key twice, where YAML's own would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := repeated(map(str, keys)):
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)
