"""How much a deletion request asks for, from counts alone. Light on purpose: no torch."""

from __future__ import annotations

from datasets.errors import InputError
from datasets.id_maps import IdMaps
from datasets.request_files import check_ids, read_request_file
from datasets.request_options import RequestOptions
from datasets.validation import DataSummary


def check_size(options: RequestOptions, summary: DataSummary, maps: IdMaps | None = None) -> int:
    """How many users, items or pairs the request names; ``maps`` are the data set's own ids.

    Raises:
        InputError: if it asks for nothing, for more than there is, or for everything; for a request
            file if it is malformed or an id is out of range.
    """
    if options.file is not None:
        rows = read_request_file(options.file, options.name, maps)
        check_ids(rows, options, summary.num_users, summary.num_items)
        return len(rows)
    eligible = {
        "user": summary.num_users - summary.users_without_train,
        "item": summary.num_items - summary.items_without_train,
        "interaction": summary.train,
    }
    return number(options, eligible[options.name])


def number(options: RequestOptions, eligible: int) -> int:
    """How many of the ``eligible`` users, items or pairs a drawn request takes (nearest to the ratio).

    Raises:
        InputError: if that is none or all of them, or neither ``count`` nor ``ratio`` is set.
    """
    if options.count is not None:
        wanted, asked = options.count, f"regime.count={options.count}"
    elif options.ratio is not None:
        wanted, asked = round(options.ratio * eligible), f"regime.ratio={options.ratio}"
    else:
        raise InputError("regime.ratio and regime.count are both null: set one of them, or regime.file.")
    if wanted == 0:
        raise InputError(f"{asked} of {eligible} ({options.name} regime) selects nothing: ask for more.")
    if wanted >= eligible:
        raise InputError(
            f"{asked} covers all {eligible} that occur in training ({options.name} regime): ask for fewer."
        )
    return wanted
