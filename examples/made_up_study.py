"""The made-up study behind the example paper: two rats, three regions, sleep and runs on a maze.

Nothing here was measured. Every number is drawn from a random generator with a fixed seed, around values that are
usual for hippocampal recordings in rats: tetrodes in CA1, a sleep box and a linear track in turns, and sharp-wave
ripples that are several times as frequent in rest as in running.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from ndx_franklab_novela import CameraDevice, NwbElectrodeGroup
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile
from pynwb.core import DynamicTable
from pynwb.device import DeviceModel
from pynwb.file import Subject

SEED = 20_260_101
ELECTRODES_PER_TETRODE = 4
SLEEP_SECONDS, RUN_SECONDS, PAUSE_SECONDS = 900.0, 720.0, 60.0
RIPPLES_PER_SECOND = {"sleep": 0.42, "run": 0.09}

# Where each region's tetrodes were aimed at, in mm from bregma: right, forward, down.
REGION_CENTRES = {"CA1": (2.6, -3.8, 2.4), "CA3": (3.6, -3.6, 3.3), "mPFC": (0.8, 3.0, 2.8)}
TETRODES_PER_REGION = {"CA1": 6, "CA3": 3, "mPFC": 3}


@dataclass(frozen=True)
class Rat:
    """One animal; `ripple_gain` scales its ripple rate, so that the two rats differ."""

    subject_id: str
    sex: str
    age: str
    ripple_gain: float


@dataclass(frozen=True)
class Epoch:
    """One stretch of a session, in seconds from its start; `kind` is "sleep" or "run"."""

    number: int
    kind: str
    start: float
    stop: float

    @property
    def interval_name(self) -> str:
        """The name in Spyglass's IntervalList, as the Frank lab writes it: `01_s1`, `02_r1`, ..."""
        return f"{self.number:02d}_{self.kind[0]}{(self.number + 1) // 2}"


@dataclass(frozen=True)
class Session:
    """One day's recording of one rat."""

    rat: Rat
    day: int

    @property
    def file_name(self) -> str:
        """Name of the raw NWB file; Spyglass's own copy ends in `_.nwb`."""
        return f"{self.rat.subject_id}2025010{self.day}.nwb"


RATS = (
    Rat("aster", sex="M", age="P150D", ripple_gain=1.0),
    Rat("birch", sex="F", age="P165D", ripple_gain=0.7),
)
SESSIONS = tuple(Session(rat, day) for rat in RATS for day in (6, 7))


def random_generator(session: Session, purpose: int) -> np.random.Generator:
    """A generator of its own for each session and purpose, so that a change of one leaves the others alone."""
    return np.random.default_rng([SEED, RATS.index(session.rat), session.day, purpose])


def epochs() -> Iterator[Epoch]:
    """Sleep, run, sleep, run, sleep, with a pause before each."""
    start = 0.0
    for number in range(1, 6):
        kind = "sleep" if number % 2 else "run"
        start += PAUSE_SECONDS
        stop = start + (SLEEP_SECONDS if kind == "sleep" else RUN_SECONDS)
        yield Epoch(number, kind, start, stop)
        start = stop


def ripple_times(session: Session, epoch: Epoch) -> NDArray[np.float64]:
    """Start and stop of each ripple in an epoch: shape (ripples, 2), in seconds, sorted, never overlapping.

    A Poisson process, thinned over a sleep by a third as its slow-wave sleep passes; lengths are log-normal
    with a median of 80 ms, as reported for rats.
    """
    generator = random_generator(session, purpose=epoch.number)
    duration = epoch.stop - epoch.start
    rate = RIPPLES_PER_SECOND[epoch.kind] * session.rat.ripple_gain
    starts = np.sort(generator.uniform(0.0, duration - 1.0, generator.poisson(rate * duration)))
    if epoch.kind == "sleep":
        starts = starts[generator.uniform(size=starts.size) > starts / duration / 3]
    lengths = np.clip(generator.lognormal(np.log(0.08), 0.35, starts.size), 0.03, 0.4)
    apart = np.diff(starts, prepend=-1.0) > 0.5
    return epoch.start + np.column_stack([starts, starts + lengths])[apart]


def write_nwb(session: Session, folder: Path) -> Path:
    """Write the session's raw NWB file, with all that Spyglass reads into its `common_` tables.

    The file has no voltage traces: those never are in the database, so an export of it needs none.
    """
    recorded = datetime(2025, 1, session.day, 9, 30, tzinfo=timezone.utc)
    nwb = NWBFile(
        session_description="Made-up data: rest in a sleep box, runs on a linear track",
        identifier=session.file_name,
        session_id=session.file_name.removesuffix(".nwb"),
        session_start_time=recorded,
        timestamps_reference_time=recorded,
        file_create_date=recorded,
        experimenter=["Exemplar, Ada", "Muster, Zoë"],
        lab="Example Lab",
        institution="University of Nowhere",
        experiment_description="Made-up data, for the example paper of spyglass-export",
        subject=Subject(
            subject_id=session.rat.subject_id,
            sex=session.rat.sex,
            age=session.rat.age,
            species="Rattus norvegicus",
            genotype="wild type",
            description="Made-up rat",
        ),
    )
    camera_model = DeviceModel(name="made-up camera", manufacturer="Nobody", model_number="0")
    nwb.add_device_model(camera_model)
    nwb.add_device(
        CameraDevice(
            name="camera_device 1",
            camera_name="overhead",
            meters_per_pixel=0.0022,
            lens="made-up lens",
            model=camera_model,
        )
    )
    add_electrodes(nwb, session)
    add_epochs(nwb)
    path = folder / session.file_name
    with NWBHDF5IO(str(path), "w") as nwb_io:
        nwb_io.write(nwb)
    return path


def add_electrodes(nwb: NWBFile, session: Session) -> None:
    """Add the tetrodes: where they sit belongs to the rat, their impedances to the day."""
    # The day is left out of the places: an implant does not move between two days.
    places = random_generator(Session(session.rat, 0), purpose=0)
    impedances = random_generator(session, purpose=0)
    drive = nwb.create_device(name="tetrode drive", description="Made-up drive with twelve tetrodes")
    nwb.add_electrode_column("bad_channel", "noisy in this session")
    regions = [region for region, count in TETRODES_PER_REGION.items() for _ in range(count)]
    for tetrode, region in enumerate(regions):
        x, y, z = REGION_CENTRES[region] + places.normal(0.0, (0.35, 0.35, 0.08))
        group = NwbElectrodeGroup(
            name=str(tetrode),
            description=f"tetrode {tetrode}",
            location=region,
            device=drive,
            targeted_location=region,
            targeted_x=x,
            targeted_y=y,
            targeted_z=z,
            units="mm",
        )
        nwb.add_electrode_group(group)
        for _ in range(ELECTRODES_PER_TETRODE):
            impedance = impedances.lognormal(np.log(250e3), 0.3)
            # Wires of a tetrode end within some 20 micrometres of each other.
            dx, dy, dz = places.normal(0.0, 0.02, 3)
            nwb.add_electrode(
                x=x + dx,
                y=y + dy,
                z=z + dz,
                imp=impedance,
                location=region,
                filtering="none",
                group=group,
                bad_channel=bool(impedance > 450e3),
            )


def add_epochs(nwb: NWBFile) -> None:
    """Add the epochs, and the table that says what the rat did in each."""
    tasks: dict[str, dict[str, Any]] = {
        "sleep": {"environment": "sleep box", "description": "Rest in a box", "epochs": []},
        "run": {"environment": "linear track", "description": "Runs for food, end to end", "epochs": []},
    }
    for epoch in epochs():
        nwb.add_epoch(start_time=epoch.start, stop_time=epoch.stop, tags=[epoch.interval_name])
        tasks[epoch.kind]["epochs"].append(epoch.number)
    table = DynamicTable(name="tasks", description="What was done in which epoch")
    table.add_column("task_name", "name of the task")
    table.add_column("task_description", "what the rat did")
    table.add_column("task_environment", "where it was")
    table.add_column("camera_id", "cameras that were on", index=True)
    table.add_column("task_epochs", "numbers of the epochs", index=True)
    for name, task in tasks.items():
        table.add_row(
            task_name=name,
            task_description=task["description"],
            task_environment=task["environment"],
            camera_id=[1],
            task_epochs=task["epochs"],
        )
    nwb.create_processing_module("tasks", "What the rat did").add(table)
