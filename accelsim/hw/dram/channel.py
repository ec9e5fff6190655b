"""A channel's parameters: device, address mapping and policy, evaluated to the integers that the kernels take.

Disputable assumption: none beside those of its parts.
"""

from __future__ import annotations

import numpy as np

from accelsim.errors import ConfigError
from accelsim.hw.dram.controller import ControllerPolicy
from accelsim.hw.dram.device import DramDevice, constraint_table
from accelsim.hw.dram.mapping import address_fields
from accelsim.kernels import dram_state as at
from accelsim.kernels.dram_state import Ints

_KINDS = {"frfcfs": at.FRFCFS, "bank_queues": at.BANK_QUEUES}


def parameters(
    device: DramDevice,
    policy: ControllerPolicy,
    mapping: str,
    max_outstanding_bursts: int,
    slot_release_cycles: int = 1,
    max_transfers: int = 64,
) -> Ints:
    """The read-only array of `dram_state`'s P_ places for one channel.

    Parameters
    ----------
    device, policy : of the channel.
    mapping : a name of `MAPPINGS`.
    max_outstanding_bursts : reads that were accepted and whose place was not released, at most.
    slot_release_cycles : memory cycles from a read's data to the release of its place (1 + the fabric's latency).
    max_transfers : transfers that may be submitted and incomplete at once.

    Raises
    ------
    ConfigError
        For an unknown mapping, or a number out of its range.
    """
    for name, value, least, most in (
        ("max_outstanding_bursts", max_outstanding_bursts, 1, 2**16),
        ("slot_release_cycles", slot_release_cycles, 0, 2**32),
        ("max_transfers", max_transfers, 1, 2**17),
    ):
        if not least <= value <= most:
            raise ConfigError(f"{name} = {value}: allowed {least} to {most}")
    fields = address_fields(device, mapping)
    shared = policy.kind == "frfcfs"
    in_banks = device.banks * (1 if shared else policy.bank_queue)
    reads = max_outstanding_bursts if not shared else min(max_outstanding_bursts, policy.read_queue + device.banks)
    widest = max(policy.read_queue, policy.write_queue)
    returns = 1 << (max_outstanding_bursts - 1).bit_length()
    slots = reads + policy.write_queue + in_banks
    sizes = (
        (at.P_AT_BANK, device.banks * at.BANK_WIDTH),
        (at.P_AT_GROUP, device.bank_groups * at.N_COMMANDS),
        (at.P_AT_SLOT, slots * at.SLOT_WIDTH),
        (at.P_AT_TRAIN, 2 * widest * at.TRAIN_WIDTH if shared else 0),
        (at.P_AT_BANK_QUEUE, device.banks * policy.bank_queue if not shared else 0),
        (at.P_AT_WAITING, 2 * widest if not shared else 0),
        (at.P_AT_RETURN, returns),
        (at.P_AT_TRANSFER, max_transfers * at.TRANSFER_WIDTH),
        (at.P_AT_DONE, max_transfers * at.DONE_WIDTH),
        (at.P_AT_REPORT, max_transfers * at.DONE_WIDTH),
    )
    params = np.zeros(at.PARAMETERS_SIZE, np.int64)
    for place, value in (
        (at.P_BANKS, device.banks),
        (at.P_BANKS_PER_GROUP, device.banks_per_group),
        (at.P_BANK_GROUPS, device.bank_groups),
        (at.P_BURST, device.n_burst),
        (at.P_CL, device.n_cl),
        (at.P_CWL, device.n_cwl),
        (at.P_FAW, device.n_faw),
        (at.P_REFI, device.n_refi),
        (at.P_AAD, device.n_aad if policy.lpddr5_commands else 0),
        (at.P_WCK_POST, device.n_wck_post if policy.lpddr5_commands and device.wck_sync else at.NONE),
        (at.P_COLUMN_SHIFT, fields["column"].shift),
        (at.P_COLUMN_MASK, fields["column"].mask),
        (at.P_GROUP_SHIFT, fields["group"].shift),
        (at.P_GROUP_MASK, fields["group"].mask),
        (at.P_BANK_SHIFT, fields["bank"].shift),
        (at.P_BANK_MASK, fields["bank"].mask),
        (at.P_ROW_SHIFT, fields["row"].shift),
        (at.P_ROW_MASK, fields["row"].mask),
        (at.P_MAX_OUTSTANDING, max_outstanding_bursts),
        (at.P_SLOT_RELEASE, slot_release_cycles),
        (at.P_POLICY, _KINDS[policy.kind]),
        (at.P_READ_QUEUE, policy.read_queue),
        (at.P_WRITE_QUEUE, policy.write_queue),
        (at.P_DRAIN_ABOVE, policy.drain_above),
        (at.P_DRAIN_BELOW, policy.drain_below),
        (at.P_ROW_HITS_FIRST, int(policy.row_hits_first)),
        (at.P_BANK_QUEUE, policy.bank_queue if not shared else 0),
        (at.P_HITS_BEFORE_CUT, policy.hits_before_cut),
        (at.P_SLOTS, slots),
        (at.P_RETURN_MASK, returns - 1),
        (at.P_WIDEST_QUEUE, widest),
        (at.P_TRANSFERS, max_transfers),
    ):
        params[place] = value
    offset = at.HEAD_SIZE
    for place, size in sizes:
        params[place] = offset
        offset += size
    params[at.P_STATE_SIZE] = offset
    params[at.P_TABLE :] = constraint_table(device).ravel()
    params.setflags(write=False)
    return params
