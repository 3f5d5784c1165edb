"""The fault matrix: what happens to runs that are killed, stopped, starved and fed with broken files.

    python -m benchmarks.faults                                        (some hours on two cores)
    python -m benchmarks.faults --part=kill --part=stop --kills=10 --stops=3    (minutes)

Every try is a real command, `experiments.reconstruct --preset=quick` on pictures of the demo, shrunk until it takes
seconds. It leaves a line of JSON; the same command in the same --workdir goes on where it was interrupted.

    command   the command that is tried, its scene, and the uninterrupted run that others are compared with
    kills     kill -9 at any moment, also in the middle of a save
    stops     SIGTERM at a random step
    spoils    the list of single faults, in disks, stored, pictured, numerical and asked
    fuzz      broken inputs through the readers
    soak      the memory of a long run
    ledger    the lines of the tries, and who does those that are left
    table     the table and the bars
"""
