"""Which features come about with which aliases, as sets that ten thousand tenants are united in at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tiercli.catalog.model import Catalog, Tenant


def tenant_masks(tenants: Iterable[Tenant]) -> dict[int, int]:
    """The features of each tenant, by its id(): sets of features are integers, one bit a feature."""
    bits: dict[str, int] = {}
    masks: dict[int, int] = {}
    for tenant in tenants:
        mask = 0
        for feature in tenant.features:
            mask |= 1 << bits.setdefault(feature, len(bits))
        masks[id(tenant)] = mask
    return masks


def feature_masks(catalog: Catalog, tenants: Sequence[Tenant], masks: Mapping[int, int]) -> dict[str, int]:
    """The features by alias that some of the tenants can bring about; `masks` are tenant_masks. The union over ten thousand tenants
    is an `or`."""
    unions: dict[tuple[str, ...] | None, int] = {}
    for tenant in tenants:
        unions[tenant.aliases] = unions.get(tenant.aliases, 0) | masks[id(tenant)]
    by_alias: dict[str, int] = dict.fromkeys(catalog.aliases, 0)
    for aliases, mask in unions.items():
        for alias in catalog.aliases if aliases is None else aliases:
            by_alias[alias] |= mask
    return by_alias


def count_features(masks: Mapping[str, int], features: bool, aliases: bool) -> int:
    """Distinct (feature, alias), or the kept ones of the two, by the features of each alias."""
    if features and aliases:
        return sum(mask.bit_count() for mask in masks.values())
    if aliases:
        return sum(mask != 0 for mask in masks.values())
    union = 0
    for mask in masks.values():
        union |= mask
    return union.bit_count() if features else min(union, 1)
