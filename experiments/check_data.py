"""Is a data set sound? Its pictures, cameras and masks are looked at, and what is wrong is said in a sentence.

    python -m experiments.check_data --data=FOLDER

A minute at most on 2 cores. Leaves in `--output` (FOLDER's name with `_check`, in the current folder, if not given):

    report.html    what was found, on one page that opens from disk
    overlay.png    some pictures with the unit sphere's outline and the axes of the scene, x red, y green, z blue
    cameras.ply    the cameras and the unit sphere, world frame

Ends with an error, and exit code 1, where something is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from absl import flags

from experiments import data_report
from experiments import flags as experiment_flags
from experiments.flags import RunError
from sdfrepar import datasets, doctor
from sdfrepar.datasets import DataConfig


@dataclass(frozen=True)
class CheckConfig:
    """How the data set is read."""

    data: DataConfig = field(default_factory=DataConfig)


class UnsoundDataError(RunError):
    """Something is wrong with a data set."""


def main(argv: Sequence[str]) -> None:
    """Look, report, complain."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is no flag; write --data=FOLDER.")
    data = Path(flags.FLAGS.data)
    output = Path(flags.FLAGS.output or f"{data.resolve().name}_check")
    check(data, experiment_flags.read(CheckConfig()).data, output)


def check(data: Path, config: DataConfig, output: Path) -> None:
    """Look at the data set in `data`, print what was found, and write it into `output`.

    Raises:
        UnsoundDataError: something is wrong; the sentence names the likely cause.
        ValueError, FileNotFoundError: files that cannot be read.
    """
    survey, trouble = _survey(data, config)
    views = survey.views
    height, width = views.cameras.resolution
    print(
        f"{data}: {survey.format}, {len(views)} pictures of {width} x {height} pixels, {len(survey.test)} held out; "
        f"{data_report.lens_of(survey)}"
    )
    found = doctor.examine(survey)
    for finding in found.findings:
        print(f"{'WRONG: ' if finding.is_fault else ''}{finding.about}: {finding.sentence}")
    data_report.write(survey, found, data, output)
    print(f"{output / 'report.html'}, overlay.png and cameras.ply show it")
    if found.fault is not None:
        raise UnsoundDataError(f"{data} is not sound: {found.fault.sentence}.")
    if trouble is not None:
        raise UnsoundDataError(f"{data} is not sound: {trouble}")


def _survey(data: Path, config: DataConfig) -> tuple[datasets.Survey, ValueError | None]:
    """The data set; where no sphere is to be found, with any, and what is said against it."""
    try:
        return datasets.survey(data, config), None
    except ValueError as error:
        anywhere = replace(config, sphere="auto", centre=(0.0, 0.0, 0.0), radius=1.0)
        try:
            return datasets.survey(data, anywhere), error
        except ValueError:
            # Then it was not the sphere that was wrong.
            raise error from None


if __name__ == "__main__":
    flags.DEFINE_string("data", None, "folder of posed pictures", required=True)
    flags.DEFINE_string("output", None, "folder to write into")
    experiment_flags.define(CheckConfig())
    experiment_flags.run(main)
