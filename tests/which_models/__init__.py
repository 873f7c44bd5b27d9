"""Table behind `docs/which_models.md`: every section in the order of the page."""

from which_models.added_files import ADDED_FILES
from which_models.configuration import CONFIGURATION
from which_models.families import FAMILIES
from which_models.incomplete import INCOMPLETE
from which_models.row import Section
from which_models.schedulers import SCHEDULERS
from which_models.variants import VARIANTS
from which_models.wrong_kinds import WRONG_KINDS

SECTIONS: tuple[Section, ...] = (FAMILIES, VARIANTS, ADDED_FILES, SCHEDULERS, CONFIGURATION, INCOMPLETE, WRONG_KINDS)
