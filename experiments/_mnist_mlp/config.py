"""The checks of the options of the MNIST experiment."""

import math
from pathlib import Path

from experiments._command import at_least
from experiments._command import require as expect
from experiments._options import MnistMlp as Config


def checkpoint_folder(config: Config) -> Path | None:
    """The absolute path, because the working directory may change during the run."""
    folder = config.checkpoint_dir
    return None if folder is None else folder.expanduser().absolute()


def check(config: Config) -> None:
    """Raise a ValueError that names the first invalid option."""
    at_least(config, epochs=1, keep=1, join_seconds=1)
    if config.batch_size is not None:
        at_least(config, batch_size=1)
    if config.save_every is not None:
        at_least(config, save_every=1)
    alone = config.checkpoint_dir is None and (config.resume or config.save_every)
    option = "--resume" if config.resume else "--save-every"
    expect(not alone, option, "--checkpoint-dir with it", "none")
    lr, target = config.lr, config.target_accuracy
    expect(lr is None or 0 < lr < math.inf, "--lr", "a positive number", lr)
    share = "a share in (0, 1] or a percentage up to 100"
    expect(target is None or 0 < target <= 100, "--target-accuracy", share, target)
    _check_processes(config)


def _check_processes(config: Config) -> None:
    address, count, rank = config.coordinator, config.num_processes, config.process_id
    names = "--coordinator, --num-processes and --process-id"
    none, got = address is count is rank is None, f"{address}, {count}, {rank}"
    if config.distributed:
        expect(none, "--distributed", f"the cluster to set {names}", got)
    if address is None or count is None or rank is None:
        expect(none, names, "all three or none", got)
        return
    _, colon, port = address.rpartition(":")
    expect(bool(colon) and port.isdigit(), "--coordinator", "HOST:PORT", address)
    expect(0 <= rank < count, "--process-id", f"0 to {count - 1}", rank)
