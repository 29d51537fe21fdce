"""Diffusion pipelines made of a few thousand random numbers: real code, pictures of nothing.

Everything is built from configurations here; nothing is fetched. Import only where PyTorch is.
"""

from __future__ import annotations

import json
from pathlib import Path

import diffusers
import torch
import transformers

WORDS = 32
"""Width of the text encoders."""


def stable_diffusion(folder: Path, *, channels: int = 4, checker: bool = False) -> Path:
    """A Stable Diffusion 1.5 in its shape; nine `channels` make it one for masks only."""
    torch.manual_seed(0)
    vision = None
    if checker:
        vision = _checker()
    pipeline = diffusers.StableDiffusionPipeline(
        vae=_vae(4),
        text_encoder=transformers.CLIPTextModel(_text_config()),
        tokenizer=_clip_tokenizer(folder.parent / "clip"),
        unet=_unet(channels, WORDS),
        scheduler=diffusers.DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=vision,
        feature_extractor=transformers.CLIPImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ) if checker else None,
        requires_safety_checker=checker,
    )  # fmt: skip
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def stable_diffusion_xl(folder: Path) -> Path:
    """A Stable Diffusion XL in its shape: two text encoders and sizes as further input."""
    torch.manual_seed(0)
    tokenizer = _clip_tokenizer(folder.parent / "clip")
    config = _text_config(projection_dim=WORDS)
    unet = diffusers.UNet2DConditionModel(
        sample_size=32, in_channels=4, out_channels=4, layers_per_block=1,
        block_out_channels=(32, 64), norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 4),
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1), projection_class_embeddings_input_dim=6 * 8 + WORDS,
        cross_attention_dim=2 * WORDS,
    )  # fmt: skip
    pipeline = diffusers.StableDiffusionXLPipeline(
        vae=_vae(4), text_encoder=transformers.CLIPTextModel(config),
        text_encoder_2=transformers.CLIPTextModelWithProjection(config), tokenizer=tokenizer,
        tokenizer_2=tokenizer, unet=unet, scheduler=diffusers.EulerDiscreteScheduler(),
    )  # fmt: skip
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def flux(folder: Path) -> Path:
    """A FLUX.1 in its shape: a transformer over packed latents, CLIP and T5."""
    torch.manual_seed(0)
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=WORDS, pooled_projection_dim=WORDS,
        axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    t5 = transformers.T5Config(
        vocab_size=len(_PIECES), d_model=WORDS, d_ff=37, d_kv=8, num_layers=1, num_heads=4
    )
    pipeline = diffusers.FluxPipeline(
        vae=_vae(4, shift=True), text_encoder=transformers.CLIPTextModel(_text_config()),
        tokenizer=_clip_tokenizer(folder.parent / "clip"),
        text_encoder_2=transformers.T5EncoderModel(t5), tokenizer_2=_t5_tokenizer(),
        transformer=transformer, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _unet(channels: int, words: int) -> diffusers.UNet2DConditionModel:
    return diffusers.UNet2DConditionModel(
        sample_size=32, in_channels=channels, out_channels=4, layers_per_block=1,
        block_out_channels=(32, 64), norm_num_groups=8, cross_attention_dim=words,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=8,
    )  # fmt: skip


def _vae(latents: int, *, shift: bool = False) -> diffusers.AutoencoderKL:
    more = {"shift_factor": 0.1, "use_quant_conv": False, "use_post_quant_conv": False}
    return diffusers.AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=latents, sample_size=32, norm_num_groups=8,
        block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2, **(more if shift else {}),
    )  # fmt: skip


def _text_config(**more: int) -> transformers.CLIPTextConfig:
    return transformers.CLIPTextConfig(
        vocab_size=1000, hidden_size=WORDS, intermediate_size=37, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=77, bos_token_id=0, eos_token_id=1,
        **more,
    )  # fmt: skip


def _checker() -> transformers.PreTrainedModel:
    """A safety checker that objects to everything: its thresholds are lower than any likeness."""
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker

    config = transformers.CLIPConfig(
        text_config=_text_config().to_dict(),
        vision_config={"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 1,
                       "num_attention_heads": 4, "image_size": 32, "patch_size": 8,
                       "projection_dim": 16},
        projection_dim=16,
    )  # fmt: skip
    checker = StableDiffusionSafetyChecker(config)
    checker.concept_embeds_weights.data.fill_(-2.0)
    return checker


def _clip_tokenizer(folder: Path) -> transformers.CLIPTokenizer:
    """A tokenizer that knows single letters only."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(number) for number in range(33, 127)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return transformers.CLIPTokenizer.from_pretrained(folder, model_max_length=77)


_PIECES = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0),
           *((chr(number), -3.0) for number in range(97, 123))]  # fmt: skip


def _t5_tokenizer() -> transformers.T5TokenizerFast:
    return transformers.T5TokenizerFast(vocab=_PIECES, extra_ids=0, model_max_length=77)
