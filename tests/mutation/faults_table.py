"""All planted faults in one table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from added_file_faults import ADDED_FILE_FAULTS
from benchmark_faults import BENCHMARK_FAULTS
from capture_faults import CAPTURE_FAULTS
from configuration_faults import CONFIGURATION_FAULTS
from core_faults import CORE_FAULTS
from distillation_faults import DISTILLATION_FAULTS
from docs_faults import DOCS_FAULTS
from edit_faults import EDIT_FAULTS
from emoji_faults import EMOJI_FAULTS
from front_door_faults import FRONT_DOOR_FAULTS
from generator3d_faults import SOLID_FAULTS
from gpu_faults import GPU_FAULTS
from input_faults import INPUT_FAULTS
from measurement_faults import MEASUREMENT_FAULTS
from method_faults import METHOD_FAULTS
from model_folder_faults import MODEL_FOLDER_FAULTS
from output_faults import OUTPUT_FAULTS
from path_faults import PATH_FAULTS
from process_group_faults import PROCESS_GROUP_FAULTS
from python_api_faults import PYTHON_API_FAULTS
from quality_faults import QUALITY_FAULTS
from report_faults import REPORT_FAULTS
from restoration_faults import RESTORATION_FAULTS
from splat_faults import SPLAT_FAULTS
from sweep_faults import SWEEP_FAULTS
from training_faults import TRAINING_FAULTS
from vector_faults import VECTOR_FAULTS
from viewer_faults import VIEWER_FAULTS

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Fault:
    """A one-line fault to plant.

    Attributes:
        name: what is wrong.
        path: path of the file, relative to src/modeseek, or from tools/ on.
        old: text found exactly once in the file.
        new: text that replaces it.
        tests: names of the test files, without `test_` and `.py`, the most likely to fail first.
    """

    name: str
    path: str
    old: str
    new: str
    tests: str

    @property
    def source(self) -> Path:
        """The file, from the root of the repository on."""
        return Path(self.path) if self.path.startswith("tools/") else Path("src/modeseek", self.path)


_TABLES = (
    ADDED_FILE_FAULTS,
    BENCHMARK_FAULTS,
    CAPTURE_FAULTS,
    CONFIGURATION_FAULTS,
    CORE_FAULTS,
    DISTILLATION_FAULTS,
    DOCS_FAULTS,
    EDIT_FAULTS,
    EMOJI_FAULTS,
    FRONT_DOOR_FAULTS,
    SOLID_FAULTS,
    MEASUREMENT_FAULTS,
    METHOD_FAULTS,
    MODEL_FOLDER_FAULTS,
    GPU_FAULTS,
    INPUT_FAULTS,
    OUTPUT_FAULTS,
    PATH_FAULTS,
    PROCESS_GROUP_FAULTS,
    PYTHON_API_FAULTS,
    QUALITY_FAULTS,
    REPORT_FAULTS,
    RESTORATION_FAULTS,
    SPLAT_FAULTS,
    SWEEP_FAULTS,
    TRAINING_FAULTS,
    VECTOR_FAULTS,
    VIEWER_FAULTS,
)
FAULTS = [Fault(*row) for table in _TABLES for row in table]
