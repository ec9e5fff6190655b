"""Networks that transformers defines: small with their options here, and as published with the library's defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import transformers

from tests.zoo.network import Network, Shape

T: Any = transformers
IMAGE = (1, 3, 224, 224)


def _network(
    model: str, small_input: Shape, published_input: Shape = IMAGE, /, *, published: dict[str, Any] | None = None,
    part: Callable[[Any], Any] = lambda whole: whole, tokens: bool = False, config: str = "", backbone: Callable[[], Any] | None = None,
    **small: Any,
) -> Network:  # fmt: skip
    """A row: the class of the model, the shapes of its inputs, options of the small one and of the published one."""

    def make(options: dict[str, Any]) -> Any:
        kind = getattr(T, model)
        record = getattr(T, config) if config else kind.config_class
        return part(kind(record(**options)))

    return Network(lambda: make(small), small_input, lambda: make(published or {}), published_input, tokens)


def _text(model: str, /, *, tokens: int = 128, **options: Any) -> Network:
    small = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
             "max_position_embeddings": 20} | options  # fmt: skip
    published, part, config = (small.pop(name, default) for name, default in (("published", None), ("part", None), ("config", "")))
    small = {name: value for name, value in small.items() if value is not None}
    return _network(
        model, (1, 8), (1, tokens), tokens=True, published=published, part=part or (lambda whole: whole), config=config, **small
    )


VIT = {"image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SMALL = (1, 3, 32, 32)
ENCODER = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_layers": 1,
           "decoder_attention_heads": 2, "decoder_ffn_dim": 24}  # fmt: skip
SPEECH = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "conv_dim": (8, 8),
          "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}  # fmt: skip
SOUND = (1, 16000)

NETWORKS: dict[str, Network] = {
    "ViT-Base": _network("ViTForImageClassification", SMALL, **VIT),
    "DeiT": _network("DeiTForImageClassification", SMALL, **VIT),
    "BEiT": _network("BeitModel", SMALL, **VIT, use_relative_position_bias=True),
    "DINOv2": _network("Dinov2Model", SMALL, published={"image_size": 224}, **VIT),
    "DINOv2 with registers": _network("Dinov2WithRegistersModel", SMALL, published={"image_size": 224}, **VIT),
    "DINOv3": _network("DINOv3ViTModel", SMALL, **VIT),
    "DINOv3 ConvNeXt": _network("DINOv3ConvNextModel", SMALL, hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 1, 1]),
    "CLIP vision": _network("CLIPVisionModel", SMALL, **VIT),
    "SigLIP vision": _network("SiglipVisionModel", SMALL, **VIT),
    "Data2Vec vision": _network("Data2VecVisionModel", SMALL, **VIT),
    "ViT-MSN": _network("ViTMSNModel", SMALL, **VIT),
    "I-JEPA": _network("IJepaModel", SMALL, **VIT),
    "AltCLIP vision": _network("AltCLIPVisionModel", SMALL, **VIT),
    "BLIP vision": _network("BlipVisionModel", SMALL, (1, 3, 384, 384), **VIT),
    "ViTDet": _network("VitDetModel", SMALL, window_block_indices=[0], residual_block_indices=[], window_size=2,
                       **{name: value for name, value in VIT.items() if name != "intermediate_size"}),
    "VitPose": _network("VitPoseBackbone", SMALL, (1, 3, 256, 192), **{**VIT, "image_size": [32, 32], "patch_size": [8, 8]}),
    "YOLOS": _network("YolosModel", SMALL, (1, 3, 512, 864), num_detection_tokens=3, **{**VIT, "image_size": [32, 32]}),
    "DPT": _network("DPTForSemanticSegmentation", SMALL, (1, 3, 384, 384), **{**VIT, "num_hidden_layers": 4}, backbone_out_indices=[0, 1, 2,
        3], neck_hidden_sizes=[4, 6, 8, 8],
                    fusion_hidden_size=8, is_hybrid=False),
    "Swin": _network("SwinModel", SMALL, image_size=32, patch_size=4, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=4),
    "Swinv2": _network("Swinv2Model", SMALL, image_size=32, patch_size=4, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=4),
    "Donut Swin": _network("DonutSwinModel", SMALL, image_size=32, patch_size=4, embed_dim=8, depths=[2, 1], num_heads=[2, 2],
        window_size=4),
    "Hiera": _network("HieraModel", SMALL, embed_dim=8, image_size=[32, 32], depths=[1, 1], num_heads=[1, 2], patch_size=[7, 7],
                      patch_stride=[4, 4], patch_padding=[3, 3], masked_unit_size=[4, 4], masked_unit_attention=[True, False],
                      query_stride=[2, 2], num_query_pool=1),
    "FocalNet": _network("FocalNetModel", SMALL, image_size=32, embed_dim=8, hidden_sizes=[8, 16], depths=[1, 1], focal_levels=[2, 2],
                         focal_windows=[3, 3]),
    "CvT": _network("CvtModel", SMALL, num_channels=3, patch_sizes=[7, 3], patch_stride=[4, 2], patch_padding=[2, 1], embed_dim=[8, 12],
                    num_heads=[1, 2], depth=[1, 2], mlp_ratio=[2.0, 2.0], attention_drop_rate=[0.0] * 2, drop_rate=[0.0] * 2,
                    qkv_bias=[True] * 2, cls_token=[False, True], qkv_projection_method=["dw_bn"] * 2,
                    kernel_qkv=[3, 3], padding_kv=[1, 1], stride_kv=[2, 2], padding_q=[1, 1], stride_q=[1, 1], drop_path_rate=[0.0] * 2),
    "PVT": _network("PvtModel", SMALL, image_size=32, hidden_sizes=[8, 12], num_encoder_blocks=2, depths=[1, 1],
                    sequence_reduction_ratios=[2, 1], patch_sizes=[4, 2], strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2]),
    "PVTv2": _network("PvtV2Model", SMALL, image_size=32, hidden_sizes=[8, 12], num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1],
                      patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2]),
    "SegFormer": _network("SegformerForSemanticSegmentation", SMALL, (1, 3, 512, 512), depths=[1, 1], sr_ratios=[2, 1],
        hidden_sizes=[8, 12],
                          num_encoder_blocks=2, patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2],
                          decoder_hidden_size=10, num_labels=3),
    "GLPN": _network("GLPNForDepthEstimation", SMALL, (1, 3, 480, 640), depths=[1] * 4, sr_ratios=[2, 1, 1, 1], hidden_sizes=[8, 12,
        16, 16],
                     num_attention_heads=[1, 2, 2, 2], mlp_ratios=[2] * 4, decoder_hidden_size=8),
    "PoolFormer": _network("PoolFormerModel", SMALL, hidden_sizes=[8, 8, 12, 12], depths=[1] * 4),
    "LeViT": _network("LevitForImageClassification", (1, 3, 64, 64), image_size=64, hidden_sizes=[16, 24, 32], num_attention_heads=[2,
        3, 4],
                      depths=[1] * 3, key_dim=[4] * 3, down_ops=[["Subsample", 4, 4, 2, 2, 2], ["Subsample", 4, 6, 2, 2, 2]],
                      num_labels=5),
    "SwiftFormer": _network("SwiftFormerModel", (1, 3, 64, 64), image_size=64, depths=[1] * 4, embed_dims=[8, 8, 12, 12]),
    "MobileViT": _network("MobileViTModel", SMALL, (1, 3, 256, 256), image_size=32, patch_size=2, hidden_sizes=[8, 8, 12],
                          neck_hidden_sizes=[4, 4, 8, 8, 12, 12, 16], num_attention_heads=2),
    "MobileViTv2": _network("MobileViTV2Model", (1, 3, 64, 64), (1, 3, 256, 256), image_size=64, width_multiplier=0.25,
        n_attn_blocks=[1, 1, 1],
                            base_attn_unit_dims=[32, 48, 64], expand_ratio=1.0),
    "ConvNeXt-T": _network("ConvNextModel", SMALL, hidden_sizes=[8, 12, 16, 20], depths=[1] * 4),
    "ConvNeXtV2": _network("ConvNextV2Model", SMALL, hidden_sizes=[8, 12, 16, 20], depths=[1] * 4),
    "ResNet-50": _network("ResNetForImageClassification", SMALL, embedding_size=8, hidden_sizes=[8, 12, 16, 20], depths=[1, 1, 2, 1]),
    "RegNetX": _network("RegNetModel", SMALL, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], groups_width=4, layer_type="x",
                        published={"layer_type": "x"}),
    "RegNetY": _network("RegNetModel", SMALL, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], groups_width=4),
    "BiT": _network("BitModel", SMALL, embedding_size=8, hidden_sizes=[32, 32], depths=[1, 1], num_groups=4),
    "EfficientNet": _network("EfficientNetModel", (1, 3, 64, 64), (1, 3, 600, 600), image_size=64, width_coefficient=0.25,
        depth_coefficient=0.3,
                             hidden_dim=320, depth_divisor=8),
    "MobileNetV1": _network("MobileNetV1ForImageClassification", SMALL, depth_multiplier=0.25, image_size=32),
    "MobileNetV2": _network("MobileNetV2ForImageClassification", SMALL, depth_multiplier=0.25, image_size=32),
    "DeepLab v3+ on MobileNetV2": _network("MobileNetV2ForSemanticSegmentation", (1, 3, 64, 64), (1, 3, 513, 513), depth_multiplier=0.25,
                                           image_size=64, num_labels=3),
    "TextNet": _network("TextNetForImageClassification", (1, 3, 64, 64), (1, 3, 640, 640), stem_out_channels=8, hidden_sizes=[8, 8, 12,
        16, 16],
                        conv_layer_kernel_sizes=[[[3, 3]], [[3, 3], [1, 3]], [[3, 3]], [[3, 1]]], conv_layer_strides=[[2], [2, 1], [2],
                        [2]]),
    "HGNet-v2": _network("HGNetV2ForImageClassification", (1, 3, 64, 64), stem_channels=[3, 8, 8], hidden_sizes=[8, 16], depths=[1, 1],
                         embedding_size=8, stage_in_channels=[8, 8], stage_mid_channels=[8, 8], stage_out_channels=[8, 16],
                         stage_num_blocks=[1, 1], stage_downsample=[False, True], stage_light_block=[False, True],
                         stage_kernel_size=[3, 5], stage_numb_of_layers=[2, 2], stage_names=None),
    "BERT-base": _text("BertModel", tokens=512),
    "DistilBERT": _text("DistilBertModel", dim=16, n_layers=2, n_heads=2, hidden_dim=24, tokens=512, hidden_size=None,
        num_hidden_layers=None,
                        num_attention_heads=None, intermediate_size=None),
    "ALBERT": _text("AlbertModel", embedding_size=8),
    "ELECTRA": _text("ElectraModel", embedding_size=8),
    "RoBERTa": _text("RobertaModel"),
    "XLM-RoBERTa": _text("XLMRobertaModel"),
    "CamemBERT": _text("CamembertModel"),
    "MPNet": _text("MPNetModel"),
    "MobileBERT": _text("MobileBertModel", intra_bottleneck_size=8, true_hidden_size=8, embedding_size=8),
    "SqueezeBERT": _text("SqueezeBertModel", embedding_size=16, q_groups=2, k_groups=2, v_groups=2, post_attention_groups=1,
                         intermediate_groups=2, output_groups=2),
    "DeBERTa": _text("DebertaModel", pos_att_type=["c2p", "p2c"], relative_attention=True),
    "DeBERTa-v2": _text("DebertaV2Model", pos_att_type=["c2p", "p2c"], relative_attention=True),
    "ConvBERT": _text("ConvBertModel", embedding_size=16, head_ratio=1, conv_kernel_size=3),
    "RoFormer": _text("RoFormerModel", embedding_size=16),
    "ERNIE": _text("ErnieModel"),
    "LayoutLM": _text("LayoutLMModel"),
    "Funnel": _text("FunnelBaseModel", d_model=16, n_head=2, d_head=8, d_inner=24, block_sizes=[1, 1], hidden_size=None,
        num_hidden_layers=None,
                    num_attention_heads=None, intermediate_size=None, max_position_embeddings=None),
    "FNet": _text("FNetModel"),
    "ModernBERT": _text("ModernBertModel", pad_token_id=0, global_attn_every_n_layers=2, local_attention=4),
    "MegatronBERT": _text("MegatronBertModel"),
    "RemBERT": _text("RemBertModel", input_embedding_size=8),
    "I-BERT": _text("IBertModel"),
    "T5's encoder": _text("T5EncoderModel", d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, hidden_size=None,
        num_hidden_layers=None,
                          num_attention_heads=None, intermediate_size=None, max_position_embeddings=None),
    "BART's encoder": _text("BartModel", part=lambda whole: whole.encoder, **ENCODER, hidden_size=None, num_hidden_layers=None,
                            num_attention_heads=None, intermediate_size=None),
    "Pegasus's encoder": _text("PegasusModel", part=lambda whole: whole.encoder, **ENCODER, hidden_size=None, num_hidden_layers=None,
                               num_attention_heads=None, intermediate_size=None),
    "Marian's encoder": _text("MarianModel", part=lambda whole: whole.encoder, **ENCODER, hidden_size=None, num_hidden_layers=None,
                              num_attention_heads=None, intermediate_size=None, pad_token_id=0, decoder_start_token_id=0,
                              published={"vocab_size": 1000, "pad_token_id": 0, "decoder_start_token_id": 0}),
    "CLIP text": _text("CLIPTextModel", tokens=77),
    "GPT-2": _text("GPT2LMHeadModel", n_embd=16, n_layer=2, n_head=2, n_positions=20, hidden_size=None, num_hidden_layers=None,
                   num_attention_heads=None, intermediate_size=None, max_position_embeddings=None),
    "OPT": _text("OPTForCausalLM", ffn_dim=24, word_embed_proj_dim=16, intermediate_size=None),
    "GPT-Neo": _text("GPTNeoForCausalLM", num_layers=2, attention_types=[[["global", "local"], 1]], num_heads=2, num_hidden_layers=None,
                     num_attention_heads=None),
    "BLOOM": _text("BloomForCausalLM", n_layer=2, n_head=2, num_hidden_layers=None, num_attention_heads=None, intermediate_size=None,
                   max_position_embeddings=None),
    "Falcon": _text("FalconModel"),
    "XGLM": _text("XGLMModel", d_model=16, num_layers=2, attention_heads=2, ffn_dim=24, hidden_size=None, num_hidden_layers=None,
                  num_attention_heads=None, intermediate_size=None),
    "CodeGen": _text("CodeGenModel", n_embd=16, n_layer=2, n_head=4, rotary_dim=4, n_positions=20, bos_token_id=None, eos_token_id=None,
                     hidden_size=None, num_hidden_layers=None, num_attention_heads=None, intermediate_size=None,
                     max_position_embeddings=None, published={"n_layer": 20, "n_embd": 1024}),
    "BigBird": _text("BigBirdModel", attention_type="original_full"),
    "ESM": _text("EsmModel", pad_token_id=1, mask_token_id=2, published={"vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1}),
    "SAM's vision": _network("SamVisionModel", SMALL, (1, 3, 1024, 1024), config="SamVisionConfig", image_size=32, patch_size=8,
                             hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_dim=24, output_channels=8, window_size=2,
                             global_attn_indexes=[1]),
    "Swin2SR": _network("Swin2SRModel", SMALL, (1, 3, 64, 64), image_size=32, patch_size=1, embed_dim=8, depths=[1], num_heads=[2],
                        window_size=4),
    "ViViT": _network("VivitModel", (1, 4, 3, 32, 32), (1, 32, 3, 224, 224), **VIT | {"num_frames": 4, "tubelet_size": [2, 8, 8]}),
    "VideoMAE": _network("VideoMAEModel", (1, 4, 3, 32, 32), (1, 16, 3, 224, 224), **VIT | {"num_frames": 4, "tubelet_size": 2}),
    "TimeSformer": _network("TimesformerModel", (1, 4, 3, 32, 32), (1, 8, 3, 224, 224), **VIT | {"num_frames": 4}),
    "Mamba": _text("MambaForCausalLM", state_size=4, num_attention_heads=None, max_position_embeddings=None, intermediate_size=None),
    "MiniCPM3": _text("MiniCPM3ForCausalLM", pad_token_id=0, bos_token_id=1, eos_token_id=2, num_key_value_heads=2, q_lora_rank=8,
                      kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8),
    "DAC's encoder": _network("DacModel", (1, 1, 64), (1, 1, 44032), part=lambda whole: whole.encoder, encoder_hidden_size=4,
                              downsampling_ratios=[2, 4], decoder_hidden_size=16, upsampling_ratios=[4, 2], n_codebooks=2,
                              codebook_size=16, codebook_dim=4),
    "Wav2Vec2-Conformer": _network("Wav2Vec2ConformerModel", (1, 200), SOUND, **SPEECH, conv_depthwise_kernel_size=3),
    "Wav2Vec2": _network("Wav2Vec2Model", (1, 200), SOUND, **SPEECH),
    "HuBERT": _network("HubertModel", (1, 200), SOUND, **SPEECH),
    "WavLM": _network("WavLMModel", (1, 200), SOUND, **SPEECH),
    "UniSpeech": _network("UniSpeechModel", (1, 200), SOUND, **SPEECH),
    "SEW": _network("SEWModel", (1, 200), SOUND, **SPEECH, squeeze_factor=2),
    "Data2Vec audio": _network("Data2VecAudioModel", (1, 200), SOUND, **{**SPEECH, "num_conv_pos_embeddings": 2}, conv_pos_kernel_size=3),
    "Whisper's encoder": _network("WhisperModel", (1, 6, 40), (1, 80, 3000), part=lambda whole: whole.encoder, **ENCODER, num_mel_bins=6,
                                  max_source_positions=20, vocab_size=50, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                                  decoder_start_token_id=1),
    "AST": _network("ASTModel", (1, 24, 16), (1, 1024, 128), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=24,
                    patch_size=8, frequency_stride=4, time_stride=4, max_length=24, num_mel_bins=16),
}  # fmt: skip


def upernet() -> Network:
    """UperNet over a small Swin, whose backbone is a configuration of its own."""

    def make(**options: Any) -> Any:
        backbone = T.SwinConfig(out_features=["stage1", "stage2", "stage3", "stage4"], **options)
        small = {"hidden_size": 8, "auxiliary_in_channels": 32, "auxiliary_channels": 8, "num_labels": 3} if options else {}
        return T.UperNetForSemanticSegmentation(T.UperNetConfig(backbone_config=backbone, **small))

    small = {"image_size": 64, "patch_size": 4, "embed_dim": 8, "depths": [1] * 4, "num_heads": [2] * 4, "window_size": 2}
    return Network(lambda: make(**small), (1, 3, 64, 64), make, (1, 3, 512, 512))


NETWORKS["UperNet on Swin"] = upernet()
