"""More families of text-to-image pipelines, of stock classes with random weights: one function for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import torch
import transformers as t
from familykit import SD, clip, codec, t5, tokenizer, unet
from tokenizers.processors import TemplateProcessing
from toyweights import WORDS

#: What families of language models know of their templates: nothing, in a toy.
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
WIDE = {"vocab_size": len(WORDS), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
LANGUAGE = WIDE | {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}


def wide_codec(**more: Any) -> Any:
    return codec(latent_channels=16, **more)


def talker() -> Any:
    """A tokenizer that takes chats, too."""
    made = tokenizer(512)
    made.chat_template = TEMPLATE
    # As theirs, it gives no text without a token before it.
    made.backend_tokenizer.post_processor = TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 1)])
    return made


def sd15_with_checker() -> Any:
    """Stable Diffusion 1.5 as `save_pretrained` writes it, with its safety checker."""
    config = t.CLIPConfig(
        text_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                     "vocab_size": len(WORDS), "projection_dim": 16},
        vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                       "image_size": 32, "patch_size": 16, "projection_dim": 16},
        projection_dim=16,
    )  # fmt: skip
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker

    return d.StableDiffusionPipeline(
        vae=codec(), unet=unet(cross_attention_dim=32), text_encoder=clip(t.CLIPTextModel), tokenizer=tokenizer(),
        scheduler=d.PNDMScheduler(**SD, skip_prk_steps=True), safety_checker=StableDiffusionSafetyChecker(config),
        feature_extractor=t.CLIPImageProcessor(),
    )  # fmt: skip


def sd21() -> Any:
    return d.StableDiffusionPipeline(
        vae=codec(), unet=unet(cross_attention_dim=32, use_linear_projection=True), text_encoder=clip(t.CLIPTextModel),
        tokenizer=tokenizer(), scheduler=d.DDIMScheduler(**SD, prediction_type="v_prediction", clip_sample=False),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def sd15_pag() -> Any:
    return d.StableDiffusionPAGPipeline(
        vae=codec(), unet=unet(cross_attention_dim=32), text_encoder=clip(t.CLIPTextModel), tokenizer=tokenizer(),
        scheduler=d.EulerDiscreteScheduler(**SD), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def lcm() -> Any:
    return d.LatentConsistencyModelPipeline(
        vae=codec(), unet=unet(cross_attention_dim=32, time_cond_proj_dim=32), text_encoder=clip(t.CLIPTextModel),
        tokenizer=tokenizer(), scheduler=d.LCMScheduler(**SD), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def sdxl_unet() -> Any:
    return unet(
        cross_attention_dim=64, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=80,
    )  # fmt: skip


def playground() -> Any:
    """SDXL conditioned as EDM, with a codec that tells mean and deviation of each channel."""
    return d.StableDiffusionXLPipeline(
        vae=codec(latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.5, 2.0, 0.7, 1.1]), unet=sdxl_unet(),
        text_encoder=clip(t.CLIPTextModel), text_encoder_2=clip(t.CLIPTextModelWithProjection),
        tokenizer=tokenizer(), tokenizer_2=tokenizer(), scheduler=d.EDMEulerScheduler(),
    )  # fmt: skip


def flux(learnt: bool = True) -> Any:
    return d.FluxPipeline(
        transformer=d.FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
            guidance_embeds=learnt,
        ),
        vae=codec(shift_factor=0.1), text_encoder=clip(t.CLIPTextModel), text_encoder_2=t5(), tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def flux_schnell() -> Any:
    return flux(learnt=False)


def chroma() -> Any:
    return d.ChromaPipeline(
        transformer=d.ChromaTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=32, axes_dims_rope=(4, 4, 8), approximator_hidden_dim=32,
            approximator_layers=1, approximator_num_channels=16,
        ),
        vae=codec(shift_factor=0.1), text_encoder=t5(), tokenizer=tokenizer(512),
        scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def sd3() -> Any:
    return d.StableDiffusion3Pipeline(
        transformer=d.SD3Transformer2DModel(
            sample_size=16, patch_size=1, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=4,
            caption_projection_dim=32, joint_attention_dim=64, pooled_projection_dim=64, out_channels=4,
        ),
        vae=codec(shift_factor=0.1), text_encoder=clip(t.CLIPTextModelWithProjection),
        text_encoder_2=clip(t.CLIPTextModelWithProjection), text_encoder_3=t5(64), tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), tokenizer_3=tokenizer(), scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def pixart(kind: Any = None) -> Any:
    kind = kind or d.PixArtAlphaPipeline
    return kind(
        transformer=d.PixArtTransformer2DModel(
            sample_size=16, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=4,
            caption_channels=32, in_channels=4, cross_attention_dim=32, out_channels=8, attention_bias=True,
            activation_fn="gelu-approximate", num_embeds_ada_norm=1000, norm_type="ada_norm_single",
            norm_elementwise_affine=False, norm_eps=1e-6, use_additional_conditions=False,
        ),
        vae=codec(), text_encoder=t5(), tokenizer=tokenizer(120), scheduler=d.DDIMScheduler(clip_sample=False),
    )  # fmt: skip


def pixart_sigma() -> Any:
    return pixart(d.PixArtSigmaPipeline)


def dc_codec() -> Any:
    return d.AutoencoderDC(
        in_channels=3, latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), downsample_block_type="conv",
        upsample_block_type="interpolate", decoder_norm_types="rms_norm", decoder_act_fns="silu",
        scaling_factor=0.41407,
    )  # fmt: skip


def gemma2() -> Any:
    return t.Gemma2Model(t.Gemma2Config(**LANGUAGE)).eval()


def sana_transformer(**more: Any) -> Any:
    return d.SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=32,
        sample_size=16, **more,
    )  # fmt: skip


def sana() -> Any:
    return d.SanaPipeline(
        transformer=sana_transformer(), vae=dc_codec(), text_encoder=gemma2(), tokenizer=talker(),
        scheduler=d.FlowMatchEulerDiscreteScheduler(shift=7.0),
    )  # fmt: skip


def sana_sprint() -> Any:
    return d.SanaSprintPipeline(
        transformer=sana_transformer(guidance_embeds=True, qk_norm="rms_norm_across_heads"), vae=dc_codec(),
        text_encoder=gemma2(), tokenizer=talker(), scheduler=d.SCMScheduler(),
    )  # fmt: skip


def hunyuan() -> Any:
    bert = t.BertModel(t.BertConfig(**WIDE, num_attention_heads=4)).eval()
    return d.HunyuanDiTPipeline(
        transformer=d.HunyuanDiT2DModel(
            sample_size=8, num_layers=2, patch_size=2, attention_head_dim=8, num_attention_heads=4, in_channels=4,
            cross_attention_dim=32, cross_attention_dim_t5=32, pooled_projection_dim=16, hidden_size=32,
            activation_fn="gelu-approximate", text_len=77, text_len_t5=256,
        ),
        vae=codec(4), text_encoder=bert, tokenizer=tokenizer(77), text_encoder_2=t5(), tokenizer_2=tokenizer(256),
        scheduler=d.DDPMScheduler(), safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def auraflow() -> Any:
    return d.AuraFlowPipeline(
        transformer=d.AuraFlowTransformer2DModel(
            sample_size=16, patch_size=2, in_channels=4, num_mmdit_layers=1, num_single_dit_layers=1,
            attention_head_dim=8, num_attention_heads=4, caption_projection_dim=32, joint_attention_dim=32,
            out_channels=4, pos_embed_max_size=256,
        ),
        vae=codec(), text_encoder=t.UMT5EncoderModel(
            t.UMT5Config(vocab_size=len(WORDS), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4)
        ).eval(), tokenizer=tokenizer(256), scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def lumina2() -> Any:
    return d.Lumina2Pipeline(
        transformer=d.Lumina2Transformer2DModel(
            sample_size=16, patch_size=2, in_channels=4, hidden_size=32, num_layers=1, num_refiner_layers=1,
            num_attention_heads=4, num_kv_heads=2, multiple_of=16, ffn_dim_multiplier=None, norm_eps=1e-5,
            scaling_factor=1.0, axes_dim_rope=(4, 2, 2), axes_lens=(128, 128, 128), cap_feat_dim=32,
        ),
        vae=codec(shift_factor=0.1), text_encoder=gemma2(), tokenizer=talker(),
        scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def cogview3() -> Any:
    return d.CogView3PlusPipeline(
        transformer=d.CogView3PlusTransformer2DModel(
            patch_size=2, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2, out_channels=4,
            text_embed_dim=32, time_embed_dim=8, condition_dim=2, pos_embed_max_size=64, sample_size=16,
        ),
        vae=codec(), text_encoder=t5(), tokenizer=tokenizer(224),
        scheduler=d.CogVideoXDDIMScheduler(prediction_type="v_prediction", timestep_spacing="trailing"),
    )  # fmt: skip


def cogview4() -> Any:
    return d.CogView4Pipeline(
        transformer=d.CogView4Transformer2DModel(
            patch_size=2, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=4, out_channels=4,
            text_embed_dim=32, time_embed_dim=8, condition_dim=4, rope_axes_dim=(4, 4), sample_size=16,
        ),
        vae=codec(), text_encoder=t.GlmModel(t.GlmConfig(**LANGUAGE)).eval(), tokenizer=talker(),
        scheduler=d.FlowMatchEulerDiscreteScheduler(
            base_shift=0.25, max_shift=0.75, base_image_seq_len=256, use_dynamic_shifting=True,
            time_shift_type="linear",
        ),
    )  # fmt: skip


def qwen_encoder() -> Any:
    return t.Qwen2_5_VLForConditionalGeneration(
        t.Qwen2_5_VLConfig(
            text_config={
                **WIDE, "num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": 0,
                "rope_scaling": {"mrope_section": [2, 3, 3], "rope_type": "default", "type": "default"},
                "rope_theta": 1e6,
            },
            vision_config={
                "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32,
            },
            hidden_size=32, vocab_size=len(WORDS),
        )
    ).eval()  # fmt: skip


def qwen_codec() -> Any:
    return d.AutoencoderKLQwenImage(
        base_dim=12, z_dim=4, dim_mult=[1, 1], num_res_blocks=1, temperal_downsample=[False],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip


def qwen() -> Any:
    return d.QwenImagePipeline(
        transformer=d.QwenImageTransformer2DModel(
            patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=32, guidance_embeds=False, axes_dims_rope=(8, 4, 4),
        ),
        vae=qwen_codec(), text_encoder=qwen_encoder(), tokenizer=talker(),
        scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def z_image() -> Any:
    return d.ZImagePipeline(
        transformer=d.ZImageTransformer2DModel(
            all_patch_size=(2,), all_f_patch_size=(1,), in_channels=4, dim=32, n_layers=1, n_refiner_layers=1,
            n_heads=2, n_kv_heads=2, norm_eps=1e-5, qk_norm=True, cap_feat_dim=32, rope_theta=256.0, t_scale=1000.0,
            axes_dims=[8, 4, 4], axes_lens=[256, 64, 64],
        ),
        vae=codec(shift_factor=0.1), text_encoder=t.Qwen3Model(t.Qwen3Config(**LANGUAGE)).eval(), tokenizer=talker(),
        scheduler=d.FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip


def kandinsky3() -> Any:
    return d.Kandinsky3Pipeline(
        unet=d.Kandinsky3UNet(
            time_embedding_dim=4, in_channels=4, groups=2, attention_head_dim=4, layers_per_block=3,
            block_out_channels=(32, 64), cross_attention_dim=4, encoder_hid_dim=32,
        ),
        movq=d.VQModel(
            block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
            in_channels=3, latent_channels=4, layers_per_block=1, norm_num_groups=8, norm_type="spatial",
            num_vq_embeddings=12, out_channels=3, up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
            vq_embed_dim=4,
        ),
        text_encoder=t5(), tokenizer=tokenizer(128), scheduler=d.DDPMScheduler(clip_sample=True),
    )  # fmt: skip


def kandinsky22() -> Any:
    from diffusers.pipelines.kandinsky2_2 import KandinskyV22CombinedPipeline

    vision = t.CLIPVisionModelWithProjection(
        t.CLIPVisionConfig(
            hidden_size=32, image_size=32, projection_dim=32, intermediate_size=37, num_attention_heads=4,
            num_channels=3, num_hidden_layers=2, patch_size=16,
        )
    ).eval()  # fmt: skip
    prior = d.PriorTransformer(
        num_attention_heads=2, attention_head_dim=12, embedding_dim=32, num_layers=1, num_embeddings=8,
        additional_embeddings=4,
    )  # fmt: skip
    prior.clip_std = torch.nn.Parameter(torch.ones(prior.clip_std.shape))
    decoder = d.UNet2DConditionModel(
        in_channels=4, out_channels=8, addition_embed_type="image",
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", block_out_channels=(32, 64), layers_per_block=1,
        encoder_hid_dim=32, encoder_hid_dim_type="image_proj", cross_attention_dim=32, attention_head_dim=4,
        resnet_time_scale_shift="scale_shift", class_embed_type=None, norm_num_groups=8,
    )  # fmt: skip
    movq = d.VQModel(
        block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D", "AttnDownEncoderBlock2D"],
        in_channels=3, latent_channels=4, layers_per_block=1, norm_num_groups=8, norm_type="spatial",
        num_vq_embeddings=12, out_channels=3, up_block_types=["AttnUpDecoderBlock2D", "UpDecoderBlock2D"],
        vq_embed_dim=4,
    )  # fmt: skip
    return KandinskyV22CombinedPipeline(
        unet=decoder, scheduler=d.DDPMScheduler(clip_sample=False), movq=movq, prior_prior=prior,
        prior_image_encoder=vision, prior_text_encoder=clip(t.CLIPTextModelWithProjection),
        prior_tokenizer=tokenizer(8),
        prior_scheduler=d.UnCLIPScheduler(
            variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000, clip_sample=True,
            clip_sample_range=10.0,
        ),
        prior_image_processor=t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
    )  # fmt: skip


def deepfloyd() -> Any:
    return d.IFPipeline(
        unet=d.UNet2DConditionModel(
            sample_size=32, layers_per_block=1, block_out_channels=(32, 64),
            down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
            mid_block_type="UNetMidBlock2DSimpleCrossAttn",
            up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), in_channels=3, out_channels=6,
            cross_attention_dim=32, encoder_hid_dim=32, attention_head_dim=8, addition_embed_type="text",
            addition_embed_type_num_heads=2, cross_attention_norm="group_norm",
            resnet_time_scale_shift="scale_shift", act_fn="gelu", norm_num_groups=8,
        ),
        text_encoder=t5(), tokenizer=tokenizer(77), scheduler=d.DDPMScheduler(
            beta_schedule="squaredcos_cap_v2", thresholding=True, dynamic_thresholding_ratio=0.95,
            sample_max_value=1.0, prediction_type="epsilon", variance_type="learned_range",
        ), safety_checker=None, feature_extractor=None, watermarker=None, requires_safety_checker=False,
    )  # fmt: skip


def flux2_klein() -> Any:
    return d.Flux2KleinPipeline(
        transformer=d.Flux2Transformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=96, timestep_guidance_channels=32,
            axes_dims_rope=[4, 4, 4, 4],
        ),
        vae=flux2_codec(),
        text_encoder=t.Qwen3ForCausalLM(t.Qwen3Config(**(LANGUAGE | {"num_hidden_layers": 28}))).eval(),
        tokenizer=talker(), scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def flux2_codec() -> Any:
    return d.AutoencoderKLFlux2(
        sample_size=32, in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, block_out_channels=(8, 8), layers_per_block=1, latent_channels=4,
        norm_num_groups=4, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip


FAMILIES: tuple[Callable[[], Any], ...] = (
    sd15_with_checker, sd21, sd15_pag, lcm, playground, flux, flux_schnell, chroma, sd3, pixart, pixart_sigma, sana,
    sana_sprint, hunyuan, auraflow, lumina2, cogview3, cogview4, qwen, z_image, kandinsky3, kandinsky22, deepfloyd,
    flux2_klein,
)  # fmt: skip
