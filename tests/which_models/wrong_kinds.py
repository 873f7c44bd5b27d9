"""Rows on folders and files that are another kind of model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from which_models.row import ModelRow, Section
from which_models.weights import edited

INSTEAD = "give a folder with model_index.json"


def _class(name: str) -> Callable[[Path], None]:
    return edited("model_index.json", _class_name=name)


def _channels(n: int, part: str = "unet") -> Callable[[Path], None]:
    return edited(f"{part}/config.json", in_channels=n)


def _only(part: str) -> Callable[[Path], None]:
    """The folder becomes one component, or nothing."""

    def apply(folder: Path) -> None:
        kept = folder.with_name("kept")
        (folder / part).rename(kept)
        shutil.rmtree(folder)
        kept.rename(folder)

    return apply


def _folder(files: dict[str, object]) -> Callable[[Path], None]:
    """The folder holds these files alone: JSON objects, tensors by their names, or nothing."""

    def apply(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        for name, content in files.items():
            if isinstance(content, list):
                save_file({key: torch.zeros(4, 4) for key in content}, folder / name)
            else:
                (folder / name).write_text(json.dumps(content))

    return apply


def _file(name: str, keys: list[str] | None = None) -> Callable[[Path], None]:
    """The path is a file instead of a folder: tensors by their names, or bytes."""

    def apply(folder: Path) -> None:
        shutil.rmtree(folder)
        if keys is None:
            folder.with_name(name).write_bytes(b"\x80\x02}")
        else:
            save_file({key: torch.zeros(4, 4) for key in keys}, folder.with_name(name))

    return apply


def _part_of_pipeline(folder: Path) -> None:
    (folder / "model_index.json").rename(folder.with_name("model_index.json"))
    _only("unet")(folder)


def _nested(folder: Path) -> None:
    folder.rename(folder.with_name("kept"))
    folder.mkdir()
    folder.with_name("kept").rename(folder / "pipeline")


LORA = ["unet.down_blocks.0.attn1.to_q.lora_A.weight", "unet.down_blocks.0.attn1.to_q.lora_B.weight"]
NETWORK, AUTOENCODER = "model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.encoder.conv_in.weight"
QUANTISED = {"quant_method": "bitsandbytes", "load_in_4bit": True}

WRONG_KINDS = Section(
    "Rejected models",
    "Rejected with one line, from configurations and headers alone, before anything is loaded.",
    (
        ModelRow(
            "an inpainting network (9 channels)",
            change=_channels(9),
            line="it is an inpainting network",
            note="its base model",
        ),
        ModelRow("InstructPix2Pix (8 channels)", change=_channels(8), line="it is an image-editing network"),
        ModelRow("an upscaler (7 channels)", change=_channels(7), line="it is an upscaling network"),
        ModelRow(
            "a depth-conditioned network (5 channels)", change=_channels(5), line="it is a depth-conditioned network"
        ),
        ModelRow("SDXL inpainting", base="sdxl", change=_channels(9), line="it is an inpainting network"),
        ModelRow(
            "an autoencoder of another model",
            change=edited("vae/config.json", latent_channels=16),
            line="takes 4 input channels where z has 16",
        ),
        ModelRow("Flux Fill", base="flux", change=_channels(96, "transformer"), line="it is Flux Fill"),
        ModelRow(
            "Flux Control (Depth, Canny)", base="flux", change=_channels(32, "transformer"), line="it is Flux Control"
        ),
        ModelRow(
            "the SDXL refiner",
            base="sdxl",
            change=edited(
                "model_index.json", text_encoder=[None, None], tokenizer=[None, None], requires_aesthetics_score=True
            ),
            line="such as the refiner",
            note="the base model",
        ),
        ModelRow(
            "a network quantised by bitsandbytes",
            change=edited("unet/config.json", quantization_config=QUANTISED),
            line="is quantised (bitsandbytes)",
            note="the unquantised model; offload where memory is short",
        ),
        ModelRow(
            "a T5 quantised by torchao",
            base="sd3",
            change=edited("text_encoder_3/config.json", quantization_config={"quant_method": "torchao"}),
            line="is quantised (torchao)",
        ),
        ModelRow(
            "a video network in an image pipeline",
            change=edited("model_index.json", unet=["diffusers", "UNet3DConditionModel"]),
            line="is a UNet3DConditionModel: expected UNet2DConditionModel",
        ),
        ModelRow(
            "another transformer",
            base="sd3",
            change=edited("transformer/config.json", _class_name="FluxTransformer2DModel"),
            line="is a FluxTransformer2DModel: expected SD3Transformer2DModel",
        ),
        ModelRow(
            "code of its own (another library)",
            change=edited("model_index.json", text_encoder=["my_code", "Encoder"]),
            line="must be a model of diffusers or transformers, got Encoder of my_code",
        ),
        *(
            ModelRow(f"`{name}`", change=_class(name), line=line)
            for name, line in (
                ("StableDiffusionInpaintPipeline", "which fills in masked images"),
                ("StableDiffusionInstructPix2PixPipeline", "which edits an image"),
                ("StableDiffusionDepth2ImgPipeline", "conditioned on a depth map"),
                ("StableDiffusionUpscalePipeline", "which enlarges images"),
                ("StableDiffusionControlNetPipeline", "steered by a control image"),
                ("IFSuperResolutionPipeline", "which enlarges images"),
                ("LatentConsistencyModelPipeline", "distilled to few steps"),
                ("AnimateDiffPipeline", "which makes videos"),
                ("CogVideoXPipeline", "which makes videos"),
                ("WanPipeline", "which makes videos"),
                ("FluxKontextPipeline", "which edits an image"),
                ("KandinskyPipeline", "which is not supported: supported are"),
                ("StableDiffusionXLImg2ImgPipeline", 'try that "_class_name" in model_index.json'),
            )
        ),
        ModelRow(
            "a custom pipeline",
            change=edited("model_index.json", _class_name=["pipeline", "Mine"]),
            line="custom pipelines are never run",
        ),
        ModelRow("a component's folder", change=_part_of_pipeline, line="is a component of the pipeline"),
        ModelRow(
            "an autoencoder alone", change=_only("vae"), line="is a AutoencoderKL of diffusers, an autoencoder alone"
        ),
        ModelRow("a UNet alone", change=_only("unet"), line="is a UNet2DConditionModel of diffusers, a network alone"),
        ModelRow(
            "a text encoder alone",
            change=_only("text_encoder"),
            line="is a CLIPTextModel of transformers, not a pipeline",
        ),
        ModelRow(
            "a ControlNet",
            change=_folder({"config.json": {"_class_name": "ControlNetModel"}}),
            line="is a ControlNetModel of diffusers, a ControlNet",
        ),
        ModelRow(
            "a language model",
            change=_folder({"config.json": {"architectures": ["LlamaForCausalLM"]}}),
            line="is a LlamaForCausalLM of transformers",
        ),
        ModelRow(
            "a peft adapter",
            change=_folder({"adapter_config.json": {}, "adapter_model.safetensors": LORA}),
            line="is an adapter of peft",
        ),
        ModelRow(
            "a LoRA's folder",
            change=_folder({"pytorch_lora_weights.safetensors": LORA}),
            line="holds pytorch_lora_weights.safetensors, a LoRA",
        ),
        ModelRow("a modular pipeline", change=_folder({"modular_model_index.json": {}}), line="is a modular pipeline"),
        ModelRow("a training's folder", change=_nested, line="holds a pipeline in pipeline"),
        ModelRow(
            "a checkpoint of a training", change=_folder({"optimizer.bin": {}}), line="is a checkpoint of a training"
        ),
        ModelRow(
            "a folder of pickled checkpoints",
            change=_folder({"model.ckpt": {}}),
            line="holds pickled weights (model.ckpt)",
        ),
        ModelRow("an empty folder", change=_folder({}), line="is no diffusers pipeline: model_index.json"),
        ModelRow(
            "a LoRA file",
            change=_file("x.safetensors", LORA),
            line="is a file that holds a LoRA",
            note="its base model, and this with `--lora`",
        ),
        ModelRow(
            "a textual inversion",
            change=_file("x.safetensors", ["emb_params"]),
            line="is a file that holds a textual inversion",
        ),
        ModelRow(
            "a UNet's file",
            change=_file("x.safetensors", ["conv_in.weight", "down_blocks.0.resnets.0.conv1.weight"]),
            line="is a file that holds a lone network",
        ),
        ModelRow(
            "an autoencoder's file",
            change=_file("x.safetensors", ["encoder.conv_in.weight", "decoder.up_blocks.0.resnets.0.conv1.weight"]),
            line="is a file that holds an autoencoder alone",
        ),
        ModelRow(
            "a ControlNet's file",
            change=_file("x.safetensors", ["control_model.time_embed.0.weight"]),
            line="is a file that holds a ControlNet",
        ),
        ModelRow(
            "a pickled checkpoint (`.ckpt`)",
            change=_file("x.ckpt"),
            line="is a file of pickled weights, which are never read",
        ),
        ModelRow("a GGUF file", change=_file("x.gguf"), line="is a file of quantised weights (GGUF)"),
        ModelRow("another file", change=_file("x.txt"), line="is a file, not a pipeline"),
        ModelRow(
            "a single-file checkpoint without configurations",
            change=_file("x.safetensors", [NETWORK, AUTOENCODER, "cond_stage_model.transformer.x"]),
            line="is a complete StableDiffusionPipeline without its configurations",
            note="give `prior.pipeline.config`, or convert it",
        ),
        ModelRow(
            "the SDXL refiner in a single file",
            change=_file("x.safetensors", [NETWORK, AUTOENCODER, "conditioner.embedders.0.model.x"]),
            line="is a file of the SDXL refiner, which is not supported",
        ),
    ),
    "tests/priors/pipeline/test_model_folders.py::test_rows_of_model_folders",
)
