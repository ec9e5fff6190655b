"""Importing this module loads every compiled kernel of a simulation, so that processes forked afterwards have them at once.

The fork server of the process pool and the workers of a local cluster preload it (only a module can be preloaded, hence work at import);
nothing else imports it. Objects
that are alive then are frozen for the garbage collector: they live on, and scanning them repeatedly would cost each point milliseconds.
"""

from __future__ import annotations

import gc

from accelsim.accelerator import load_accelerator
from accelsim.presets import built_in
from accelsim.simulation import simulate
from accelsim.trace.trace import load_trace

_data = built_in()  # whatever a user's presets of the same names hold
for _preset, _trace in (("edge-32x32", "tiny_vit_int8"), ("mcu-16x16", "tiny_vit_ssvq")):
    simulate(load_accelerator(str(_data.configs / "accelerators" / f"{_preset}.yaml")), load_trace(_data.traces / _trace))
gc.collect()
gc.freeze()
