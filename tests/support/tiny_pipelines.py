"""Tiny pipelines with random weights, built offline, and one way to call them all for latents.

    tiny.stable_diffusion("v_prediction")(batch=3, height=16, width=24, guidance=7.5)(scheduler, latents, steps)

The networks answer prompts as embeddings where a text encoder would add nothing to the test; Stable Diffusion has its
own tokenizer and text encoder. One latent pixel is two image pixels wide (Flux: a token is 4 by 4).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

from scheduler_runs import noise  # noqa: E402

SD15 = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
TEXT, POOLED = 16, 8


@dataclass
class Tiny:
    """A pipeline, how it is asked for latents, and the shape of its latents."""

    pipe: Any
    ask: Callable[..., dict[str, Any]]
    shape: Callable[[int, int, int], tuple[int, ...]]
    asked: dict[str, Any] = field(default_factory=dict)

    def latents(self, batch: int = 1, height: int = 16, width: int = 16, seed: int = 0) -> Tensor:
        return noise(*self.shape(batch, height, width), seed=seed, dtype=self.pipe.dtype)

    def run(
        self, latents: Tensor, steps: int = 8, *, guidance: float = 1.0, height: int = 16, width: int = 16, **more: Any
    ) -> Tensor:
        """The pipeline's own loop on the scheduler it holds, from these latents to the last ones."""
        asked = self.ask(len(latents), guidance, self.pipe.dtype)
        asked.update(num_inference_steps=steps, height=height, width=width, output_type="latent", **more)
        return self.pipe(latents=latents, return_dict=False, **asked)[0]


def prepared(pipe: Any, dtype: torch.dtype) -> Any:
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.to(dtype).eval()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def unet(**more: Any) -> Any:
    torch.manual_seed(0)
    settings = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "sample_size": 8, "in_channels": 4, "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "cross_attention_dim": TEXT,
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "norm_num_groups": 4, "attention_head_dim": 4,
    }  # fmt: skip
    return diffusers.UNet2DConditionModel(**settings | more)


def vae() -> Any:
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2, norm_num_groups=4, sample_size=16,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, scaling_factor=0.5, shift_factor=0.1,
    )  # fmt: skip


def tokenizer(folder: Path) -> Any:
    """CLIP's, for single letters."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {"model_max_length": 16, "tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return transformers.CLIPTokenizer.from_pretrained(folder)


def clip(width: int = TEXT, projection: int | None = None) -> Any:
    """CLIP's text encoder of one or, with a projection, of two layers."""
    torch.manual_seed(0)
    layers, extra = (1, {}) if projection is None else (2, {"projection_dim": projection})
    config = transformers.CLIPTextConfig(
        hidden_size=width, intermediate_size=TEXT, num_attention_heads=2, num_hidden_layers=layers, vocab_size=54,
        max_position_embeddings=16, bos_token_id=52, eos_token_id=53, **extra,
    )  # fmt: skip
    return (transformers.CLIPTextModel if projection is None else transformers.CLIPTextModelWithProjection)(config)


def t5() -> tuple[Any, Any]:
    """T5's tokenizer of single letters, and its encoder."""
    torch.manual_seed(0)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    pieces += [(chr(code), -2.0) for code in range(ord("a"), ord("z") + 1)]
    config = transformers.T5Config(vocab_size=32, d_model=TEXT, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return transformers.T5TokenizerFast(vocab=pieces, extra_ids=0), transformers.T5EncoderModel(config)


def prompts(batch: int, guidance: float, dtype: torch.dtype) -> dict[str, Any]:
    words = [["a cat", "one dog", "the end"][n % 3] for n in range(batch)]
    return {"prompt": words, "negative_prompt": ["bad"] * batch, "guidance_scale": guidance}


def embeddings(batch: int, guidance: float, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "prompt_embeds": noise(batch, 4, TEXT, seed=1, dtype=dtype),
        "pooled_prompt_embeds": noise(batch, POOLED, seed=2, dtype=dtype),
        "negative_prompt_embeds": noise(batch, 4, TEXT, seed=3, dtype=dtype),
        "negative_pooled_prompt_embeds": noise(batch, POOLED, seed=4, dtype=dtype),
        "guidance_scale": guidance,
    }


def flux_embeddings(batch: int, guidance: float, dtype: torch.dtype) -> dict[str, Any]:
    asked = embeddings(batch, 1.0, dtype)
    return asked | {"true_cfg_scale": guidance}


class Builder:
    """Makes a fresh pipeline each time: tests change schedulers, dtypes and configs."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = tokenizer(folder)

    def stable_diffusion(
        self, prediction: str = "epsilon", dtype: torch.dtype = torch.float64, cls: Any = None
    ) -> Tiny:
        pipe = (cls or diffusers.StableDiffusionPipeline)(
            vae=vae(), text_encoder=clip(), tokenizer=self.tokenizer, unet=unet(), safety_checker=None,
            scheduler=diffusers.PNDMScheduler(**SD15, skip_prk_steps=True, prediction_type=prediction),
            feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        return Tiny(prepared(pipe, dtype), prompts, lambda batch, h, w: (batch, 4, h // 2, w // 2))

    def texts(self, kind: str) -> dict[str, Any]:
        """Tokenizers and text encoders for those kinds that do without them otherwise."""
        twice = {"tokenizer": self.tokenizer, "tokenizer_2": self.tokenizer}
        if kind == "stable_diffusion_xl":
            return {**twice, "text_encoder": clip(TEXT // 2), "text_encoder_2": clip(TEXT // 2, POOLED)}
        tokenizer, encoder = t5()
        if kind == "flux":
            return {**twice, "text_encoder": clip(POOLED), "tokenizer_2": tokenizer, "text_encoder_2": encoder}
        pooled = {name: clip(TEXT // 4, POOLED // 2) for name in ("text_encoder", "text_encoder_2")}
        return {**twice, **pooled, "tokenizer_3": tokenizer, "text_encoder_3": encoder}

    def stable_diffusion_xl(self, dtype: torch.dtype = torch.float64, **texts: Any) -> Tiny:
        network = unet(
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=24 + POOLED,
        )
        pipe = diffusers.StableDiffusionXLPipeline(
            vae=vae(), unet=network,
            **dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")) | texts,
            scheduler=diffusers.EulerDiscreteScheduler(**SD15, timestep_spacing="leading"), add_watermarker=False,
        )  # fmt: skip
        return Tiny(prepared(pipe, dtype), embeddings, lambda batch, h, w: (batch, 4, h // 2, w // 2))

    def stable_diffusion_3(self, dtype: torch.dtype = torch.float64, cls: Any = None, **texts: Any) -> Tiny:
        torch.manual_seed(0)
        network = diffusers.SD3Transformer2DModel(
            sample_size=8, patch_size=1, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=4,
            num_attention_heads=2, joint_attention_dim=TEXT, caption_projection_dim=8, pooled_projection_dim=POOLED,
            pos_embed_max_size=16,
        )  # fmt: skip
        pipe = (cls or diffusers.StableDiffusion3Pipeline)(
            transformer=network, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), vae=vae(),
            **{f"{part}{n}": None for part in ("text_encoder", "tokenizer") for n in ("", "_2", "_3")} | texts,
        )  # fmt: skip
        return Tiny(prepared(pipe, dtype), embeddings, lambda batch, h, w: (batch, 4, h // 2, w // 2))

    def flux(self, dtype: torch.dtype = torch.float64, texts: dict[str, Any] | None = None, **more: Any) -> Tiny:
        torch.manual_seed(0)
        network = diffusers.FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8,
            num_attention_heads=2, joint_attention_dim=TEXT, pooled_projection_dim=POOLED, axes_dims_rope=(2, 2, 4),
            **more,
        )  # fmt: skip
        pipe = diffusers.FluxPipeline(
            transformer=network, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
            vae=vae(),
            **dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")) | (texts or {}),
        )  # fmt: skip
        return Tiny(prepared(pipe, dtype), flux_embeddings, lambda batch, h, w: (batch, h * w // 16, 16))

    def ddpm(self, dtype: torch.dtype = torch.float64) -> Any:
        torch.manual_seed(0)
        network = diffusers.UNet2DModel(
            sample_size=(8, 12), in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=(8, 16),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=4, attention_head_dim=4,
        )  # fmt: skip
        return prepared(diffusers.DDPMPipeline(network, diffusers.DDPMScheduler()), dtype)

    def audio(self, dtype: torch.dtype = torch.float64) -> Any:
        torch.manual_seed(0)
        network = diffusers.UNet1DModel(
            block_out_channels=(32, 32, 64), extra_in_channels=16, time_embedding_dim=16, sample_size=64,
            sample_rate=64, in_channels=2, out_channels=2, flip_sin_to_cos=True, use_timestep_embedding=False,
            time_embedding_type="fourier", mid_block_type="UNetMidBlock1D",
            down_block_types=("DownBlock1DNoSkip", "DownBlock1D", "AttnDownBlock1D"),
            up_block_types=("AttnUpBlock1D", "UpBlock1D", "UpBlock1DNoSkip"),
        )  # fmt: skip
        return prepared(diffusers.DanceDiffusionPipeline(network, diffusers.IPNDMScheduler()), dtype)
