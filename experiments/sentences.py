"""Errors that are the machine's rather than the program's, in one sentence each."""

import errno

import jax

_ADVICE = {
    errno.ENOSPC: "make room, and give the same command again",
    errno.EDQUOT: "make room, and give the same command again",
    errno.EACCES: "choose another place, or let it be read and written",
    errno.EPERM: "choose another place, or let it be read and written",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOTDIR: "choose a place whose folders are no files",
    errno.EEXIST: "choose a place whose folders are no files",
    errno.EISDIR: "move that folder away, as a file is to have its name",
    errno.ENOENT: "check that it is still there",
}


def sentence_of(error: BaseException) -> str:
    """What an error says to a user: its own words, or for one of the system or the device, what to do about it."""
    if isinstance(error, OSError) and error.errno is not None:
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror}; {_ADVICE.get(error.errno, 'mend that, and give the same command again')}."
    if is_out_of_memory(error):
        return (
            f"There is too little memory ({_first_line(error)}); state a smaller --memory_gb, so that the work is done "
            "in more parts, or make the batch, the pictures or the networks smaller."
        )
    return str(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the host or a device had no memory left."""
    exhausted = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return exhausted or isinstance(error, MemoryError)


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0].rstrip(".") if lines else "the host's is full"
