"""Camera-dependent conditions of a prior: view prompts, Perp-Neg views and multi-view cameras."""

from __future__ import annotations

from modeseek.camera_conditions.bert_views import BertViews
from modeseek.camera_conditions.cameras import CameraConditions
from modeseek.camera_conditions.debiased_prompts import DebiasedPrompts
from modeseek.camera_conditions.fine_prompts import FineConditions, FinePrompts
from modeseek.camera_conditions.multiview import MultiviewPrompts
from modeseek.camera_conditions.perp_neg_views import PerpNegViews
from modeseek.camera_conditions.view_prompts import ViewConditions, ViewPrompts

__all__ = [
    "BertViews",
    "CameraConditions",
    "DebiasedPrompts",
    "FineConditions",
    "FinePrompts",
    "MultiviewPrompts",
    "PerpNegViews",
    "ViewConditions",
    "ViewPrompts",
]
