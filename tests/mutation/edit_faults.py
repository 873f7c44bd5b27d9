"""Planted faults of edits: image files, starts, scores, and what methods need."""

from __future__ import annotations

# What is wrong, where in src/modeseek, text found exactly once, what replaces it, the tests that should notice.
EDIT_FAULTS: list[tuple[str, str, str, str, str]] = [
    (
        "transparent pixels lie on black",
        "io/image_files.py",
        "(255, 255, 255, 255)",
        "(0, 0, 0, 255)",
        "read_image_file",
    ),
    ("a corner is kept, not the middle", "io/image_files.py", "(width - crop[0]) // 2,", "0,", "read_image_file"),
    ("grey of 16 bits is cut off", "io/image_files.py", "/ 257)", "/ 256)", "read_image_file"),
    (
        "photographs lie on their side",
        "io/image_files.py",
        "ImageOps.exif_transpose(opened)",
        "opened",
        "read_image_file",
    ),
    (
        "the rate of a fit does not fall",
        "generators/fit_images.py",
        "_FALL ** (step / max(1, steps - 1))",
        "1",
        "fit_images",
    ),
    (
        "latents start from noise all the same",
        "config/source_images.py",
        "return loaded.codec.encode(images).contiguous()",
        "return loaded.codec.encode(images).contiguous() * 0",
        "edit",
    ),
    (
        "the rate of SGD is shared by the images",
        "config/edit_config.py",
        'per_image = copies * len(prompts) if chosen == "sgd" else 1',
        "per_image = 1",
        "edit",
    ),
    (
        "any method edits",
        "config/edit_config.py",
        'if "source" not in needs_of(given',
        'if "none" in needs_of(given',
        "edit",
    ),
    (
        "the distance is a root",
        "runs/edit_files.py",
        "(images - sources).square().flatten(1).mean(1).tolist()",
        "(images - sources).square().flatten(1).mean(1).sqrt().tolist()",
        "edit",
    ),
    (
        "a scale is given to CSD",
        "config/method_checks.py",
        "if config.scale != 1 and method.guides:",
        "if False:",
        "default_guidance",
    ),
    (
        "images are views of an object",
        "config/method_checks.py",
        "if needs_cameras(method) and shape is None:",
        "if False:",
        "every_method_by_name",
    ),
    (
        "a given method keeps its small network",
        "config/method_choice.py",
        'if default is None or "auxiliary" not in names:',
        "if True:",
        "every_method_by_name",
    ),
    (
        "HiFA decodes without its weight",
        "methods/hifa.py",
        "grad_image=self.image_weight * w *",
        "grad_image=w *",
        "hifa_codecs",
    ),
]
